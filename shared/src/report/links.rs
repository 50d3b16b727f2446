//! Deep links into the console, made of checked identifiers only.

use crate::finding::{Finding, Target};
use crate::id::Partition;

/// Console pages for a finding and its target: label and address.
#[must_use]
pub fn links(finding: &Finding, target: &Target) -> Vec<(&'static str, String)> {
    let host = finding.partition().console_host();
    let region = &finding.region;
    let mut links = Vec::new();
    match target {
        Target::User(user) => links.push(("IAM", format!("https://{host}/iam/home#/users/details/{}", user.name))),
        Target::RoleSession(session) => links.push(("IAM", format!("https://{host}/iam/home#/roles/details/{}", session.role))),
        Target::Instance(instance) => links.push((
            "EC2",
            format!("https://{region}.{host}/ec2/home?region={region}#InstanceDetails:instanceId={}", instance.id),
        )),
        _ => {}
    }
    if let Some(place) = finding.at_guardduty() {
        let regional = &place.region;
        links.push((
            "GuardDuty",
            format!("https://{regional}.{host}/guardduty/home?region={regional}#/findings?macros=current&fId={}", place.finding),
        ));
        if finding.partition() == Partition::Aws {
            links.push((
                "Detective, finding",
                format!("https://{host}/detective/home?region={regional}#findings/GuardDuty/{}", place.finding),
            ));
        }
    }
    if let (Some(entity), Partition::Aws) = (detective_entity(target), finding.partition()) {
        links.push(("Detective, principal", format!("https://{host}/detective/home?region={region}#entities/{entity}")));
    }
    links.push(("CloudTrail", format!("https://{region}.{host}/cloudtrailv2/home?region={region}#/events")));
    links
}

/// Detective's name for a principal's profile: by unique id, never by name.
fn detective_entity(target: &Target) -> Option<String> {
    match target {
        Target::User(user) => user.unique_id.as_ref().map(|id| format!("AwsUser/{id}")),
        Target::RoleSession(session) => {
            let id = session.role_id.as_ref()?;
            Some(session.session.as_ref().map_or_else(|| format!("AwsRole/{id}"), |name| format!("AwsRoleSession/{id}:{name}")))
        }
        Target::Instance(instance) => Some(format!("Ec2Instance/{}", instance.id)),
        _ => None,
    }
}
