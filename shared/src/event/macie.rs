//! Macie: policy findings name who changed a bucket's protection; sensitive-data findings accuse nobody.

use super::issuer::issuer;
use super::json::{Json, missing};
use super::principal::Claim;
use super::{IgnoredReason, Parsed, Trigger};
use crate::finding::{Finding, Source, Target};
use crate::id::{AccessKeyId, AccountId, Arn, FindingId, Region};
use crate::text::printable;

pub(super) fn parse(finding: Json<'_>) -> Parsed {
    match read(finding) {
        Ok(finding) => Parsed::Finding(Box::new(finding)),
        Err(ignored) => ignored,
    }
}

fn read(finding: Json<'_>) -> Result<Finding, Parsed> {
    let finding_type = finding.text("type").ok_or_else(|| missing("type"))?;
    if finding.is_true("sample") || finding.text("title").is_some_and(|title| title.starts_with("[SAMPLE]")) {
        return Err(Parsed::ignored(IgnoredReason::SampleFinding, finding_type));
    }
    if finding.is_true("archived") {
        return Err(Parsed::ignored(IgnoredReason::ArchivedFinding, finding_type));
    }
    let account = finding.require("accountId", AccountId::parse)?;
    let call = finding.at("policyDetails.action.apiCallDetails");
    let created = finding.time("createdAt");
    let first_seen = call.and_then(|call| call.time("firstSeen")).or(created).ok_or_else(|| missing("createdAt"))?;
    Ok(Finding {
        // Security Hub's copy has the same id.
        id: finding.require("id", FindingId::parse)?,
        severity: severity(finding).ok_or_else(|| missing("severity"))?,
        region: finding.require("region", Region::parse)?,
        source: Source::Macie,
        product: None,
        title: printable(&finding.text("title").unwrap_or_default(), 200),
        first_seen,
        last_seen: call.and_then(|call| call.time("lastSeen")).or_else(|| finding.time("updatedAt")).unwrap_or(first_seen),
        targets: targets(finding, &account),
        assumed_roles: Vec::new(),
        trigger: Trigger::Event,
        finding_type: printable(&finding_type, 128),
        account,
    })
}

/// Macie's Low, Medium and High (1, 2, 3) as the lowest number of the same word on GuardDuty's scale.
fn severity(finding: Json<'_>) -> Option<f64> {
    let word = finding.text("severity.description").unwrap_or_default();
    match (word.as_str(), finding.integer("severity.score")) {
        ("High", _) | (_, Some(3)) => Some(7.0),
        ("Medium", _) | (_, Some(2)) => Some(4.0),
        ("Low", _) | (_, Some(1)) => Some(1.0),
        _ => None,
    }
}

/// Who did it first, the bucket after.
fn targets(finding: Json<'_>, account: &AccountId) -> Vec<Target> {
    let bucket = Target::Resource { resource_type: "S3Bucket".to_owned() };
    let is_policy = finding.text("category").is_some_and(|category| category == "POLICY");
    match finding.at("policyDetails.actor.userIdentity").filter(|_| is_policy) {
        Some(identity) => vec![actor(identity, account), bucket],
        None => vec![bucket],
    }
}

/// `userIdentity` is CloudTrail's, with the fields of each type in an object of its own.
fn actor(identity: Json<'_>, account: &AccountId) -> Target {
    let user_type = identity.text("type").unwrap_or_default();
    let fields = match user_type.as_str() {
        "AssumedRole" => "assumedRole",
        "IAMUser" => "iamUser",
        "FederatedUser" => "federatedUser",
        "Root" => "root",
        "AWSAccount" => "awsAccount",
        _ => "awsService",
    };
    let text = |field: &str| identity.text(&format!("{fields}.{field}"));
    // A role's session is `assumed-role/NAME/SESSION`; its issuer, the role itself, says the name too.
    let role_name = || {
        let arn = text("arn").and_then(|arn| Arn::parse(&arn).ok())?;
        arn.resource().strip_prefix("assumed-role/")?.split('/').next().map(str::to_owned)
    };
    let user_name = match fields {
        "assumedRole" => text("sessionContext.sessionIssuer.userName").or_else(role_name),
        "awsService" => text("invokedBy"),
        "awsAccount" => text("accountId"),
        _ => text("userName"),
    };
    let key = text("accessKeyId");
    let session_key = key.as_deref().and_then(|key| AccessKeyId::parse(key).ok());
    Claim {
        user_name,
        principal_id: text("principalId"),
        issuer: identity
            .at(&format!("{fields}.sessionContext.sessionIssuer"))
            .and_then(|record| issuer(record, session_key, account)),
        key,
        instance: None,
        remote_account: text("accountId").filter(|own| own != account.as_str()),
        user_type: Some(user_type),
    }
    .target()
}
