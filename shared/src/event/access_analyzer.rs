//! IAM Access Analyzer: who could use a role or a user from outside, or does not use it at all.
//!
//! Its findings describe exposure, not compromise. An analyzer names principals by ARN only, so the unique id that
//! every write needs is missing (CONTAINMENT A9), and this version does not ask it again.

use super::json::{Json, missing};
use super::principal::Named;
use super::{IgnoredReason, Parsed, Trigger};
use crate::finding::{Finding, Source, Target};
use crate::id::{AccountId, FindingId, Partition, Region};
use crate::text::printable;

/// Anybody may use it: what Security Hub files under data exposure, where the rest are configuration checks.
const PUBLIC_SEVERITY: f64 = 7.0;
/// What the analyzer's copies in Security Hub are graded: low.
const SEVERITY: f64 = 1.0;

pub(super) fn parse(detail: Json<'_>, event: Json<'_>, detail_type: &str) -> Parsed {
    match read(detail, event, detail_type) {
        Ok(finding) => Parsed::Finding(Box::new(finding)),
        Err(ignored) => ignored,
    }
}

fn read(detail: Json<'_>, event: Json<'_>, detail_type: &str) -> Result<Finding, Parsed> {
    let kind = detail.text("findingType");
    // External access findings have no type of their own.
    let finding_type = format!("AccessAnalyzer:{}", kind.as_deref().unwrap_or("ExternalAccess"));
    settled(detail, &finding_type)?;
    let account = detail.require("accountId", AccountId::parse)?;
    let region = event.require("region", Region::parse)?;
    let resource = detail.text("resource").ok_or_else(|| missing("resource"))?;
    let analyzer = event.each("resources").find_map(|arn| arn.0.as_str()).ok_or_else(|| missing("resources"))?;
    let first_seen = detail.time("createdAt").or_else(|| event.time("time")).ok_or_else(|| missing("createdAt"))?;
    // An analyzer has a finding for each principal that a resource is open to; Security Hub has one for the resource,
    // under this id, and so have we.
    let id = match kind.filter(|kind| kind.starts_with("Unused")) {
        Some(kind) => format!("{analyzer}/{resource}/{kind}"),
        None => format!("{analyzer}/{resource}"),
    };
    let id = FindingId::parse(&id).map_err(|error| Parsed::ignored(IgnoredReason::IncompleteFinding, error.to_string()))?;
    Ok(Finding {
        id,
        severity: if detail.is_true("isPublic") { PUBLIC_SEVERITY } else { SEVERITY },
        source: Source::AccessAnalyzer,
        product: None,
        title: printable(&format!("{detail_type}: {resource}"), 200),
        first_seen,
        last_seen: detail.time("updatedAt").unwrap_or(first_seen),
        targets: vec![target(detail, resource, &account, Partition::of_region(&region))],
        assumed_roles: Vec::new(),
        trigger: Trigger::Event,
        finding_type: printable(&finding_type, 128),
        account,
        region,
    })
}

/// Findings that are over, and those that say only that the analyzer could not look.
fn settled(detail: Json<'_>, finding_type: &str) -> Result<(), Parsed> {
    let ignored = |reason| Err(Parsed::ignored(reason, finding_type));
    if detail.is_true("isDeleted") {
        return ignored(IgnoredReason::ResolvedFinding);
    }
    match detail.text("status").as_deref() {
        Some("RESOLVED") => return ignored(IgnoredReason::ResolvedFinding),
        Some("ARCHIVED") => return ignored(IgnoredReason::ArchivedFinding),
        _ => {}
    }
    match detail.text("error") {
        Some(error) => Err(Parsed::ignored(IgnoredReason::NoFindings, format!("{finding_type}: the analyzer says {error}"))),
        None => Ok(()),
    }
}

/// The resource that is exposed or unused. The principal that an internal access finding names may reach a resource it
/// was given access to, which accuses it of nothing.
fn target(detail: Json<'_>, resource: String, account: &AccountId, partition: Partition) -> Target {
    let resource_type = detail.text("resourceType").unwrap_or_default();
    let named = Named { arn: resource, unique_id: None };
    match resource_type.as_str() {
        "AWS::IAM::User" => named.user(account, partition),
        "AWS::IAM::Role" => named.role(account, partition),
        _ => Target::Resource { resource_type: printable(&resource_type, 40) },
    }
}
