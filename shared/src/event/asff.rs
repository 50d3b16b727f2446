//! Security Hub findings in the AWS Security Finding Format: imported, or chosen by a person with a custom action.

use super::json::{Json, missing};
use super::principal::{Claim, add_principal};
use super::{IgnoredReason, Parsed, Trigger, UPDATED_BY};
use crate::finding::{Elsewhere, ElsewhereSort, Finding, Source, Target};
use crate::id::{AccountId, Arn, FindingId, Region};
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
    Ok(Finding {
        id: finding.require("id", FindingId::parse)?,
        severity: severity(finding, from_guardduty).ok_or_else(|| missing("Severity"))?,
        region: region(finding, &product)?,
        source: Source::SecurityHub,
        product: Some(printable(&product, 256)),
        title: printable(&finding.text("title").unwrap_or_default(), 200),
        first_seen,
        last_seen: finding.time("lastObservedAt").unwrap_or(first_seen),
        targets: targets(finding, &account),
        assumed_roles: Vec::new(),
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
fn targets(finding: Json<'_>, account: &AccountId) -> Vec<Target> {
    let is_actor = |resource: &Json<'_>| resource.text("resourceRole").is_some_and(|role| role == "Actor");
    let some_actor = finding.each("resources").any(|resource| is_actor(&resource));
    let mut targets = Vec::new();
    for resource in finding.each("resources").filter(|resource| !some_actor || is_actor(resource)) {
        add_principal(&mut targets, target(resource, account));
    }
    targets
}

fn target(resource: Json<'_>, account: &AccountId) -> Target {
    let resource_type = resource.text("type").unwrap_or_default();
    match resource_type.as_str() {
        "AwsIamAccessKey" => access_key(resource, account),
        "AwsIamUser" => named_by_arn(resource, "user/", "IAMUser", "details.awsIamUser.userId", account),
        "AwsIamRole" => named_by_arn(resource, "role/", "Role", "details.awsIamRole.roleId", account),
        _ => Target::Resource { resource_type: printable(&resource_type, 40) },
    }
}

fn access_key(resource: Json<'_>, account: &AccountId) -> Target {
    let details = resource.at("details.awsIamAccessKey");
    let text = |path: &str| details.and_then(|details| details.text(path));
    // `AWS::IAM::AccessKey:AKIA…` in GuardDuty's copies, the bare id in others.
    let key = || resource.text("id").and_then(|id| id.rsplit(':').next().map(str::to_owned));
    Claim {
        user_type: text("principalType"),
        user_name: text("principalName").or_else(|| text("userName")),
        principal_id: text("principalId"),
        key: text("accessKeyId").or_else(key),
        instance: None,
        remote_account: text("accountId").filter(|own| own != account.as_str()),
    }
    .target()
}

/// A user or role resource: its ARN names it, its details hold the unique id.
fn named_by_arn(resource: Json<'_>, prefix: &str, user_type: &str, id_path: &str, account: &AccountId) -> Target {
    let arn = resource.text("id").and_then(|id| Arn::parse(&id).ok());
    let name = arn
        .as_ref()
        .filter(|arn| arn.service() == "iam" && arn.resource().starts_with(prefix))
        .and_then(|arn| arn.resource().rsplit('/').next());
    let Some(name) = name else {
        return Target::Elsewhere(Elsewhere {
            sort: ElsewhereSort::Unnamed,
            label: printable(&resource.text("id").unwrap_or_default(), 80),
            key: None,
        });
    };
    Claim {
        user_type: Some(user_type.to_owned()),
        user_name: Some(name.to_owned()),
        principal_id: resource.text(id_path),
        remote_account: arn.as_ref().map(|arn| arn.account().to_owned()).filter(|own| own != account.as_str()),
        ..Claim::default()
    }
    .target()
}
