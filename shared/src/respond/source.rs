//! Asking the detector itself. Whoever may invoke the function, or import findings into Security Hub, can claim
//! anything; only what the detector keeps is acted on (CONTAINMENT H1).

use aws_sdk_securityhub::types::{AwsIamAccessKeyDetails, WorkflowStatus};
use serde_json::{Value, json};

use crate::aws::{Clients, Fault};
use crate::containment::AtSource;
use crate::event::{self, Parsed};
use crate::finding::{AtGuardDuty, Finding, Source};
use crate::id::Region;
use crate::report::security_hub;

/// The finding at its detector.
pub(super) async fn at_source(clients: &Clients, finding: &Finding) -> AtSource {
    let answer = match (finding.at_guardduty(), finding.source) {
        (Some(place), _) => at_guardduty(clients, &place, finding).await,
        (None, Source::Health) => return AtSource::NotKept,
        (None, Source::SecurityHub) => at_security_hub(clients, finding).await,
        (None, Source::GuardDuty | Source::SecurityHubV2 | Source::AccessAnalyzer | Source::Macie) => {
            let reason = format!("`{}` is no finding this version can look up", finding.id);
            return AtSource::Unconfirmed { reason, retryable: false };
        }
    };
    match answer {
        Ok(Some(Parsed::Finding(finding))) => AtSource::Confirmed(finding),
        Ok(Some(Parsed::Ignored(ignored))) => AtSource::Settled(ignored.reason.as_str().replace('_', " ")),
        Ok(None) => AtSource::Absent,
        Err(fault) => AtSource::Unconfirmed { retryable: fault.is_retryable(), reason: fault.to_string() },
    }
}

async fn at_guardduty(clients: &Clients, place: &AtGuardDuty, claimed: &Finding) -> Result<Option<Parsed>, Fault> {
    let request = clients.guardduty.get_findings().detector_id(&place.detector).finding_ids(&place.finding);
    let request = request.customize().config_override(in_region(&place.region));
    let output = request.send().await?;
    Ok(output.findings().first().map(|finding| event::parse_guardduty_finding(&guardduty_json(finding), &claimed.trigger)))
}

fn in_region(region: &Region) -> aws_sdk_guardduty::config::Builder {
    aws_sdk_guardduty::config::Builder::new().region(aws_sdk_guardduty::config::Region::new(region.as_str().to_owned()))
}

async fn at_security_hub(clients: &Clients, finding: &Finding) -> Result<Option<Parsed>, Fault> {
    let found = security_hub::find(&clients.securityhub, &finding.id, finding.product.as_deref()).await?;
    Ok(found.map(|found| event::parse_security_hub_finding(&security_hub_json(&found), &finding.trigger)))
}

/// The fields decisions need, in the spelling of the EventBridge event.
fn guardduty_json(finding: &aws_sdk_guardduty::types::Finding) -> Value {
    let resource = finding.resource();
    let key = resource.and_then(|resource| resource.access_key_details());
    let service = finding.service();
    let info = service.and_then(|service| service.additional_info());
    let call = service.and_then(|service| service.action()).and_then(|action| action.aws_api_call_action());
    let sequence = service.and_then(|service| service.detection()).and_then(|detection| detection.sequence());
    let actors = sequence.map(aws_sdk_guardduty::types::Sequence::actors).unwrap_or_default();
    json!({
        "schemaVersion": finding.schema_version(),
        "accountId": finding.account_id(),
        "arn": finding.arn(),
        "createdAt": finding.created_at(),
        "region": finding.region(),
        "severity": finding.severity(),
        "title": finding.title(),
        "type": finding.r#type(),
        "resource": {
            "resourceType": resource.and_then(|resource| resource.resource_type()),
            "accessKeyDetails": key.map(|key| json!({
                "accessKeyId": key.access_key_id(),
                "principalId": key.principal_id(),
                "userName": key.user_name(),
                "userType": key.user_type(),
            })),
            "instanceDetails": { "instanceId": resource.and_then(|resource| resource.instance_details()).and_then(|instance| instance.instance_id()) },
        },
        "service": {
            "archived": service.and_then(aws_sdk_guardduty::types::Service::archived),
            "eventFirstSeen": service.and_then(|service| service.event_first_seen()),
            "eventLastSeen": service.and_then(|service| service.event_last_seen()),
            "additionalInfo": { "value": info.and_then(|info| info.value()) },
            "action": { "awsApiCallAction": { "remoteAccountDetails": {
                "accountId": call.and_then(|call| call.remote_account_details()).and_then(|remote| remote.account_id()),
            } } },
            "detection": { "sequence": { "actors": actors.iter().map(|actor| json!({
                "user": actor.user().map(|user| json!({
                    "name": user.name(),
                    "uid": user.uid(),
                    "type": user.r#type(),
                    "credentialUid": user.credential_uid(),
                })),
            })).collect::<Vec<_>>() } },
        },
    })
}

/// The same for a finding of Security Hub.
fn security_hub_json(finding: &aws_sdk_securityhub::types::AwsSecurityFinding) -> Value {
    let severity = finding.severity();
    let resource = |resource: &aws_sdk_securityhub::types::Resource| {
        let details = resource.details();
        let key = details.and_then(|details| details.aws_iam_access_key());
        json!({
            "type": resource.r#type(),
            "id": resource.id(),
            "resourceRole": resource.resource_role(),
            "details": {
                "awsIamAccessKey": key.map(|key| json!({
                    "accessKeyId": key.access_key_id(),
                    "accountId": key.account_id(),
                    "principalId": key.principal_id(),
                    "principalName": key.principal_name(),
                    "principalType": key.principal_type(),
                    "userName": user_name(key),
                })),
                "awsIamUser": { "userId": details.and_then(|details| details.aws_iam_user()).and_then(|user| user.user_id()) },
                "awsIamRole": { "roleId": details.and_then(|details| details.aws_iam_role()).and_then(|role| role.role_id()) },
            },
        })
    };
    json!({
        "id": finding.id(),
        "productArn": finding.product_arn(),
        "awsAccountId": finding.aws_account_id(),
        "region": finding.region(),
        "types": finding.types(),
        "title": finding.title(),
        "createdAt": finding.created_at(),
        "firstObservedAt": finding.first_observed_at(),
        "lastObservedAt": finding.last_observed_at(),
        "sample": finding.sample(),
        // What a person settled since the event. NOTIFIED may be our own, from a try that was cut short.
        "workflow": { "status": finding.workflow().and_then(|workflow| workflow.status()).filter(|status| settled(status)).map(WorkflowStatus::as_str) },
        "recordState": finding.record_state().map(aws_sdk_securityhub::types::RecordState::as_str),
        "severity": {
            "product": severity.and_then(aws_sdk_securityhub::types::Severity::product),
            "normalized": severity.and_then(aws_sdk_securityhub::types::Severity::normalized),
            "label": severity.and_then(|severity| severity.label()).map(aws_sdk_securityhub::types::SeverityLabel::as_str),
        },
        "resources": finding.resources().iter().map(resource).collect::<Vec<_>>(),
    })
}

fn settled(status: &WorkflowStatus) -> bool {
    matches!(status, WorkflowStatus::Suppressed | WorkflowStatus::Resolved)
}

/// The name under its old spelling, which some products still write.
#[expect(deprecated, reason = "products still write it")]
fn user_name(key: &AwsIamAccessKeyDetails) -> Option<&str> {
    key.user_name()
}
