//! Security Hub findings in the AWS Security Finding Format: imported, or chosen by a person with a custom action.

use super::instance::Whereabouts;
use super::issuer::issuer;
use super::json::{Json, missing};
use super::principal::{Claim, Named, add_target, assumed_roles};
use super::{IgnoredReason, Parsed, Trigger, UPDATED_BY};
use crate::finding::{Finding, Source, Target};
use crate::id::{AccessKeyId, AccountId, Arn, FindingId, Region};
use crate::text::printable;

pub(super) fn parse(finding: Json<'_>, trigger: &Trigger) -> Parsed {
    match read(finding, trigger) {
        Ok(finding) => Parsed::Finding(Box::new(finding)),
        Err(ignored) => ignored,
    }
}

fn read(finding: Json<'_>, trigger: &Trigger) -> Result<Finding, Parsed> {
    let product = finding.text("productArn").ok_or_else(|| missing("ProductArn"))?;
    let from_guardduty = is_guardduty(&product);
    let finding_type = finding_type(finding, from_guardduty).ok_or_else(|| missing("Types"))?;
    if finding.is_true("sample") || finding.text("title").is_some_and(|title| title.starts_with("[SAMPLE]")) {
        return Err(Parsed::ignored(IgnoredReason::SampleFinding, finding_type));
    }
    if *trigger == Trigger::Event {
        settled(finding, &finding_type)?;
    }
    let created = finding.time("createdAt");
    let first_seen = finding.time("firstObservedAt").or(created).ok_or_else(|| missing("CreatedAt"))?;
    let account = finding.require("awsAccountId", AccountId::parse)?;
    let region = region(finding, &product)?;
    if !is_the_accounts_own(&product, &account, &region) {
        let detail = format!("`ProductArn` {product} is not of account {account} and {region}");
        return Err(Parsed::ignored(IgnoredReason::IncompleteFinding, detail));
    }
    Ok(Finding {
        id: finding.require("id", FindingId::parse)?,
        severity: severity(finding, from_guardduty).ok_or_else(|| missing("Severity"))?,
        source: Source::SecurityHub,
        product: Some(printable(&product, 256)),
        title: printable(&finding.text("title").unwrap_or_default(), 200),
        first_seen,
        last_seen: finding.time("lastObservedAt").unwrap_or(first_seen),
        targets: targets(finding, &Whereabouts { account: &account, region: &region }),
        region,
        assumed_roles: finding.at("action.awsApiCallAction").filter(|_| from_guardduty).map(assumed_roles).unwrap_or_default(),
        trigger: trigger.clone(),
        finding_type: printable(&finding_type, 128),
        account,
    })
}

/// Findings a person or a product has dealt with, configuration checks, and the echo of our own note. A person who
/// presses the button on one of them means it, so only events pass through here.
fn settled(finding: Json<'_>, finding_type: &str) -> Result<(), Parsed> {
    let ignored = |reason| Err(Parsed::ignored(reason, finding_type));
    let workflow = finding.text("workflow.status").or_else(|| finding.text("workflowState")).unwrap_or_default();
    let noted_by_us = finding.text("note.updatedBy").is_some_and(|by| by == UPDATED_BY);
    match workflow.as_str() {
        "SUPPRESSED" => return ignored(IgnoredReason::SuppressedFinding),
        "RESOLVED" => return ignored(IgnoredReason::ResolvedFinding),
        "NOTIFIED" if noted_by_us => return ignored(IgnoredReason::OurOwnUpdate),
        "NOTIFIED" => return ignored(IgnoredReason::NotifiedFinding),
        _ => {}
    }
    if finding.text("recordState").is_some_and(|state| state == "ARCHIVED") {
        return ignored(IgnoredReason::ArchivedFinding);
    }
    if finding.at("compliance.status").is_some() || finding_type.starts_with("Software and Configuration Checks") {
        return ignored(IgnoredReason::PostureFinding);
    }
    Ok(())
}

/// Whether a product ARN is GuardDuty's own (`arn:aws:securityhub:R::product/aws/guardduty`).
pub(super) fn is_guardduty(product: &str) -> bool {
    product.starts_with("arn:") && product.ends_with("::product/aws/guardduty")
}

/// Whether a finding of an account's own product (`arn:aws:securityhub:R:ACCT:product/ACCT/default`) is about that
/// account and Region: an account may import findings about itself only (CONTAINMENT H1). Other products belong to
/// AWS or to a vendor, who import for everybody; whom to believe of those, the guardrails say.
fn is_the_accounts_own(product: &str, account: &AccountId, region: &Region) -> bool {
    let Ok(arn) = Arn::parse(product) else { return true };
    let Some(owner) = arn.resource().split('/').nth(1).filter(|company| AccountId::parse(company).is_ok()) else { return true };
    owner == account.as_str() && arn.account() == account.as_str() && arn.region() == region.as_str()
}

/// The detector's type. Security Hub files GuardDuty's under a taxonomy and writes its slash as a dash:
/// `TTPs/Initial Access/UnauthorizedAccess:IAMUser-MaliciousIPCaller`, or with the purpose as a folder of its own:
/// `TTPs/Credential Access/IAMUser-AnomalousBehavior`.
fn finding_type(finding: Json<'_>, from_guardduty: bool) -> Option<String> {
    let first = finding.each("types").chain(finding.each("findingProviderFields.types")).next()?.0.as_str()?;
    if !from_guardduty {
        return Some(first.to_owned());
    }
    let mut segments = first.rsplit('/');
    let last = segments.next()?;
    let (purpose, rest) = match last.split_once(':') {
        Some((purpose, rest)) => (purpose.to_owned(), rest),
        None => (segments.next()?.replace(' ', ""), last),
    };
    Some(format!("{purpose}:{}", rest.replacen('-', "/", 1)))
}

/// On GuardDuty's scale: its own number where it made the finding, a tenth of the normalised one elsewhere.
fn severity(finding: Json<'_>, from_guardduty: bool) -> Option<f64> {
    let native = finding.number("severity.product").filter(|_| from_guardduty);
    let label = || match finding.text("severity.label")?.as_str() {
        "CRITICAL" => Some(9.0),
        "HIGH" => Some(7.0),
        "MEDIUM" => Some(4.0),
        "LOW" => Some(1.0),
        _ => Some(0.0),
    };
    native.or_else(|| finding.number("severity.normalized").map(|normalized| normalized / 10.0)).or_else(label)
}

fn region(finding: Json<'_>, product: &str) -> Result<Region, Parsed> {
    match finding.text("region") {
        Some(_) => finding.require("region", Region::parse),
        None => Arn::parse(product).and_then(|arn| Region::parse(arn.region())).map_err(|_| missing("Region")),
    }
}

/// Every resource that can be contained. Where the finding tells actors from targets, the actors are the accused:
/// the role a decoy finding calls its target is the bait.
fn targets(finding: Json<'_>, whereabouts: &Whereabouts<'_>) -> Vec<Target> {
    let is_actor = |resource: &Json<'_>| resource.text("resourceRole").is_some_and(|role| role == "Actor");
    let some_actor = finding.each("resources").any(|resource| is_actor(&resource));
    let mut targets = Vec::new();
    for resource in finding.each("resources").filter(|resource| !some_actor || is_actor(resource)) {
        add_target(&mut targets, target(resource, whereabouts));
    }
    targets
}

fn target(resource: Json<'_>, whereabouts: &Whereabouts<'_>) -> Target {
    let (account, partition) = (whereabouts.account, whereabouts.partition());
    let resource_type = resource.text("type").unwrap_or_default();
    let id = || resource.text("id").unwrap_or_default();
    match resource_type.as_str() {
        "AwsIamAccessKey" => access_key(resource, account),
        "AwsIamUser" => Named { arn: id(), unique_id: resource.text("details.awsIamUser.userId") }.user(account, partition),
        "AwsIamRole" => Named { arn: id(), unique_id: resource.text("details.awsIamRole.roleId") }.role(account, partition),
        "AwsEc2Instance" if whereabouts.has(resource, "accountId", "region", "partition") => whereabouts
            .instance(resource.text("id"), resource.text("details.awsEc2Instance.iamInstanceProfileArn"))
            .unwrap_or(Target::Resource { resource_type }),
        _ => Target::Resource { resource_type: printable(&resource_type, 40) },
    }
}

fn access_key(resource: Json<'_>, account: &AccountId) -> Target {
    let details = resource.at("details.awsIamAccessKey");
    let text = |path: &str| details.and_then(|details| details.text(path));
    // `AWS::IAM::AccessKey:AKIA…` in GuardDuty's copies, the bare id in others.
    let key = || resource.text("id").and_then(|id| id.rsplit(':').next().map(str::to_owned));
    let access_key_id = text("accessKeyId").or_else(key);
    let session_key = access_key_id.as_deref().and_then(|id| AccessKeyId::parse(id).ok());
    Claim {
        user_type: text("principalType"),
        user_name: text("principalName").or_else(|| text("userName")),
        principal_id: text("principalId"),
        key: access_key_id,
        instance: None,
        remote_account: text("accountId").filter(|own| own != account.as_str()),
        issuer: details.and_then(|details| issuer(details.at("sessionContext.sessionIssuer")?, session_key, account)),
    }
    .target()
}
