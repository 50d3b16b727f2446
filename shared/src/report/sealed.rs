//! What people read of sealed snapshots: the function's answer, and the message.

use serde::{Deserialize, Serialize};

use super::message::{Message, NEXT, Notification};
use crate::case::CaseId;
use crate::case::sealed::{Compared, Locked, Provenance, Role, RootHash};
use crate::evidence::{FORMAT, KEPT_SETS, Level};
use crate::id::{AccountId, InstanceId, Partition, Region, SnapshotId};

/// The answer to one event of EBS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealAnswer {
    /// What became of each snapshot.
    pub snapshots: Vec<SealResult>,
    /// What was not looked at further, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ignored: Vec<NotSealed>,
}

/// A snapshot, or an event, that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotSealed {
    /// The reason, one word for alarms and counters.
    pub reason: String,
    /// What it was, for a person.
    pub detail: String,
}

/// What became of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealResult {
    /// Its case.
    pub case: CaseId,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Which one it is.
    pub role: Role,
    /// For a copy, the source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub copy_of: Option<SnapshotId>,
    /// The instance.
    pub instance: InstanceId,
    /// The account that owns the snapshot.
    pub account: AccountId,
    /// Its Region.
    pub region: Region,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: SealOutcome,
    /// What says that it belongs to the case.
    pub recorded: Provenance,
    /// The roots.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub hashes: Vec<RootHash>,
    /// Why the content was not hashed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub without_content: Option<String>,
    /// How it is locked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub locked: Option<Locked>,
    /// How a copy compares with its source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compared: Option<Compared>,
    /// What is not as it should be.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub missing: Vec<String>,
    /// The copy that is on its way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub copy: Option<CopyBegun>,
    /// The transit copy that is of no more use.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spent: Option<SnapshotId>,
    /// Where the case lies in the forensics account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept: Option<CaseKept>,
    /// The snapshot sets of the instance that a person may delete.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub may_delete: Vec<Vec<SnapshotId>>,
    /// Whether everything was so already: nothing was done, nobody was told again.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub repeat: bool,
}

/// A copy on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyBegun {
    /// The copy.
    pub snapshot: SnapshotId,
    /// The account it is made in.
    pub account: AccountId,
    /// Why it could not be locked for its way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_locked: Option<String>,
}

/// The case in the forensics account, as far as it was written when a copy was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseKept {
    /// The bucket there.
    pub bucket: String,
    /// How many objects of the case lie there.
    pub objects: usize,
}

/// What became of a snapshot, in a word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum SealOutcome {
    /// Hashed, and recorded with its manifest.
    Sealed,
    /// A transit copy that the forensics account may copy now.
    HandedOver,
    /// Something failed for good: what.
    Failed(String),
}

/// Everything a message is made of: results of one case.
#[derive(Debug, Clone, Copy)]
pub struct SealNews<'a> {
    /// What became of the snapshots, at least one.
    pub results: &'a [SealResult],
    /// Where the case is kept.
    pub case_bucket: &'a str,
    /// The forensics account, if there is one.
    pub forensics: Option<ForensicsAccount<'a>>,
    /// Whether an earlier try may have sent the same message already.
    pub may_be_repeated: bool,
}

/// The forensics account, as far as a message speaks of it.
#[derive(Debug, Clone, Copy)]
pub struct ForensicsAccount<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// The bucket there that cases are kept in, if there is one.
    pub case_bucket: Option<&'a str>,
}

/// The message about snapshots of one case; nothing where there is nothing to say.
#[must_use]
pub fn sealed_notification(news: SealNews<'_>) -> Option<Notification> {
    let first = news.results.first()?;
    let failed = news.results.iter().filter(|result| matches!(result.outcome, SealOutcome::Failed(_))).count();
    let all = news.results.len();
    let what = if failed == 0 { "SEALED" } else { "NOT SEALED" };
    let count = if failed == 0 { plural(all) } else { format!("{failed} of {}", plural(all)) };
    let about = format!("{count} of {}", first.instance);
    let mut message = Message::new(what, about, (&first.account, &first.region), &first.case);
    message.headline(headline(&news, failed), news.may_be_repeated);
    for result in news.results {
        let title = format!("{} {} in account {}, {}", role(result.role), result.snapshot, result.account, result.region);
        message.section(title, snapshot_lines(result));
    }
    message.section(NEXT, next(&news));
    let mut look = vec![format!("Case: {} in s3://{}/cases/{}/", first.case, news.case_bucket, first.case)];
    look.extend(second_case(&news));
    look.push(format!("How the hashes are computed ({FORMAT}): docs/evidence-hash.md"));
    for result in news.results {
        let host = Partition::of_region(&result.region).console_host();
        let (region, id) = (&result.region, &result.snapshot);
        look.push(format!("{id}: https://{region}.{host}/ec2/home?region={region}#SnapshotDetails:snapshotId={id}"));
    }
    message.section("WHERE TO LOOK", look);
    Some(message.finish())
}

fn headline(news: &SealNews<'_>, failed: usize) -> String {
    let all = news.results.len();
    let Some(first) = news.results.first() else { return String::new() };
    if failed > 0 {
        return format!("EVIDENCE NOT SEALED: {failed} of {} of {}. A person must look at it.", plural(all), first.instance);
    }
    if news.results.iter().any(|result| result.role == Role::Forensic) {
        let sealed = format!("EVIDENCE SEALED in the forensics account: {} of {}.", plural(all), first.instance);
        let lacks_case = news.results.iter().any(|result| lacks_case(news, result));
        return if lacks_case { format!("{sealed} ITS CASE COULD NOT BE KEPT THERE.") } else { sealed };
    }
    let where_to = news.forensics.map_or_else(
        || "It stays in its own account: no forensics account is configured".to_owned(),
        |forensics| format!("A copy for the forensics account {} is on its way", forensics.account),
    );
    format!("EVIDENCE SEALED: {} of {}. {where_to}.", plural(all), first.instance)
}

fn snapshot_lines(result: &SealResult) -> Vec<String> {
    let mut lines = Vec::new();
    match &result.outcome {
        SealOutcome::Sealed | SealOutcome::HandedOver => {}
        SealOutcome::Failed(reason) => lines.push(format!("FAILED: {reason}")),
    }
    if let Some(source) = &result.copy_of {
        lines.push(format!("copy of {source}"));
    }
    for hash in &result.hashes {
        lines.push(format!("{} sha256:{} over {} blocks; proves {}", hash.level.as_str(), hash.root, hash.blocks, hash.proves));
    }
    if let Some(reason) = &result.without_content {
        lines.push(format!("no hash of the content: {reason}"));
    }
    if let Some(compared) = &result.compared {
        lines.extend(comparison(compared));
    }
    match &result.locked {
        Some(Locked::Locked(how)) => lines.push(format!("locked: {how}")),
        Some(Locked::NotWanted) => lines.push("not locked: the guardrails want no lock".to_owned()),
        Some(Locked::NotLocked(reason)) => lines.push(format!("NOT LOCKED: {reason}")),
        None => {}
    }
    if result.recorded == Provenance::Volume {
        lines.push("its volume is recorded in the case, the snapshot itself is not: see who made it".to_owned());
    }
    lines.extend(result.missing.iter().map(|missing| format!("missing: {missing}")));
    if let Some(copy) = &result.copy {
        lines.push(format!("being copied to {} in account {}", copy.snapshot, copy.account));
        if let Some(reason) = &copy.not_locked {
            lines.push(format!("NOT LOCKED while it is on its way: {reason}"));
        }
    }
    lines
}

/// Where the case lies once more. Of several copies the last one brought the most.
fn second_case(news: &SealNews<'_>) -> Option<String> {
    let forensics = news.forensics?;
    let copies = || news.results.iter().filter(|result| result.role == Role::Forensic);
    let last = copies().next_back()?;
    if let Some(kept) = copies().rev().find_map(|result| result.kept.as_ref()) {
        let CaseKept { bucket, objects } = kept;
        let (account, case) = (forensics.account, &last.case);
        return Some(format!(
            "Kept in account {account}: s3://{bucket}/cases/{case}/, {objects} objects, as it was before this message"
        ));
    }
    let nowhere = "It is kept nowhere else: ForensicsCaseBucket names no bucket of the forensics account";
    forensics.case_bucket.is_none().then(|| nowhere.to_owned())
}

/// Whether a sealed copy lies in the forensics account without its case, though there is a bucket for it.
fn lacks_case(news: &SealNews<'_>, result: &SealResult) -> bool {
    let has_bucket = news.forensics.is_some_and(|forensics| forensics.case_bucket.is_some());
    has_bucket && result.role == Role::Forensic && !result.hashes.is_empty() && result.kept.is_none()
}

fn comparison(compared: &Compared) -> Vec<String> {
    let content = match compared.same_content {
        Some(true) => "its content is the one of its source, block for block",
        Some(false) => "ITS CONTENT IS NOT THE ONE OF ITS SOURCE",
        None => "its content was not compared: one of the two has no hash of it",
    };
    let blocks = match compared.same_blocks {
        Some(true) => "the same blocks hold data as in its source, which says nothing of what is in them",
        Some(false) => "other blocks are listed than of its source: a copy may list blocks of zeros",
        None => return vec![content.to_owned()],
    };
    vec![content.to_owned(), blocks.to_owned()]
}

fn next(news: &SealNews<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let failed = |result: &&SealResult| matches!(result.outcome, SealOutcome::Failed(_));
    for result in news.results.iter().filter(failed) {
        let id = &result.snapshot;
        lines.push(format!("Look at it: aws ec2 describe-snapshots --snapshot-ids {id} --region {}", result.region));
    }
    if news.results.iter().any(|result| failed(&result)) {
        lines.push("Nothing tries again by itself. If a key is disabled or about to be deleted, enable it; then send the event again, for a copy that came to nothing the event of what it was copied from (functions/seal-snapshot/README.md).".to_owned());
    }
    for result in news.results.iter().filter(|result| matches!(result.locked, Some(Locked::NotLocked(_)))) {
        let (id, region) = (&result.snapshot, &result.region);
        lines.push(format!(
            "Lock it: aws ec2 lock-snapshot --snapshot-id {id} --lock-mode governance --lock-duration 365 --region {region}"
        ));
    }
    if news.results.iter().any(|result| lacks_case(news, result)) {
        lines.push(
            "The case is not in the forensics account, or not up to this copy. Mend what is said above; the next copy brings it, \
             or this event delivered again."
                .to_owned(),
        );
    }
    let is_index_only =
        |result: &&SealResult| !result.hashes.is_empty() && !result.hashes.iter().any(|hash| hash.level == Level::Content);
    for result in news.results.iter().filter(is_index_only).filter(|result| result.role != Role::Transit) {
        lines.push(format!(
            "Hash its content where there is time: make verify-snapshot SNAPSHOT={} MANIFEST=cases/{}/snapshots/{}.json CONTENT=1",
            result.snapshot, result.case, result.snapshot
        ));
    }
    for spent in news.results.iter().filter_map(|result| result.spent.as_ref()) {
        lines.push(format!("The transit copy {spent} has served its purpose: you may delete it, once its lock has ended."));
    }
    for result in news.results.iter().filter(|result| !result.may_delete.is_empty()) {
        lines.push(format!(
            "More than {KEPT_SETS} snapshot sets of {} are ours. Nothing here deletes one; you may, the whole set each time:",
            result.instance
        ));
        for set in &result.may_delete {
            let ids: Vec<&str> = set.iter().map(SnapshotId::as_str).collect();
            lines.push(format!("  {}", ids.join(" ")));
        }
        lines.push(
            match news.forensics {
                Some(_) => {
                    "See before that each has its sealed copy in the forensics account: its case says so. What has none stays."
                }
                None => "They have no copy outside of their account: make one first.",
            }
            .to_owned(),
        );
    }
    lines
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Source => "Snapshot",
        Role::Transit => "Transit copy",
        Role::Forensic => "Forensic copy",
    }
}

fn plural(number: usize) -> String {
    if number == 1 { "1 snapshot".to_owned() } else { format!("{number} snapshots") }
}
