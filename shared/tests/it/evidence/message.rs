//! What people are told of snapshots, and what the answer says.

use tourniquet::case::CaseId;
use tourniquet::case::sealed::{Compared, Locked, Provenance, Role, RootHash};
use tourniquet::evidence::Level;
use tourniquet::id::{AccountId, InstanceId, Region, SnapshotId};
use tourniquet::report::sealed::{
    CaseKept, CopyBegun, ForensicsAccount, SealAnswer, SealNews, SealOutcome, SealResult, sealed_notification,
};
use tourniquet::text::sha256;

use crate::support::{INSTANCE, account};

const BUCKET: &str = "cases-of-555566667777";

fn snap(text: &str) -> SnapshotId {
    SnapshotId::parse(text).expect("a snapshot id")
}

fn forensics() -> AccountId {
    AccountId::parse("555566667777").expect("an account")
}

fn hash(level: Level) -> RootHash {
    RootHash { level, root: sha256(level.as_str().as_bytes()), blocks: 1234, proves: level.proves().to_owned() }
}

fn result(snapshot: &str, role: Role) -> SealResult {
    SealResult {
        case: CaseId::parse("IR-20261121-3f9a1c2e").expect("a case id"),
        snapshot: snap(snapshot),
        role,
        copy_of: None,
        instance: InstanceId::parse(INSTANCE).expect("an instance"),
        account: account(),
        region: Region::parse("eu-west-1").expect("a Region"),
        outcome: SealOutcome::Sealed,
        recorded: Provenance::Snapshot,
        hashes: vec![hash(Level::BlockIndex), hash(Level::Content)],
        without_content: None,
        locked: Some(Locked::Locked("governance for 365 days".to_owned())),
        compared: None,
        missing: Vec::new(),
        copy: None,
        spent: None,
        kept: None,
        may_delete: Vec::new(),
        repeat: false,
    }
}

/// One sealed and on its way; one whose content was too much, that nobody recorded by its id and that could not be locked.
fn sources() -> Vec<SealResult> {
    let begun = CopyBegun { snapshot: snap("snap-0000000000000001a"), account: account(), not_locked: None };
    let small = SealResult { copy: Some(begun), ..result("snap-0000000000000000a", Role::Source) };
    let large = SealResult {
        hashes: vec![hash(Level::BlockIndex)],
        without_content: Some("2097152 blocks are listed, up to 4096 are hashed".to_owned()),
        locked: Some(Locked::NotLocked("UnauthorizedOperation: no".to_owned())),
        recorded: Provenance::Volume,
        missing: vec!["the tags ir:hash and ir:hash-level (UnauthorizedOperation: no)".to_owned()],
        may_delete: vec![vec![snap("snap-0000000000000002a"), snap("snap-0000000000000002b")]],
        ..result("snap-0000000000000000b", Role::Source)
    };
    vec![small, large]
}

fn failed() -> SealResult {
    let reason = "it was not completed: Client.InternalError; Given key ID is not accessible".to_owned();
    SealResult {
        copy_of: Some(snap("snap-0000000000000000a")),
        outcome: SealOutcome::Failed(reason),
        hashes: Vec::new(),
        locked: None,
        ..result("snap-0000000000000001a", Role::Transit)
    }
}

fn forensic() -> SealResult {
    SealResult {
        copy_of: Some(snap("snap-0000000000000000a")),
        account: forensics(),
        compared: Some(Compared { same_blocks: Some(false), same_content: Some(true) }),
        spent: Some(snap("snap-0000000000000001a")),
        kept: Some(CaseKept { bucket: BUCKET.to_owned(), objects: 14 }),
        ..result("snap-0000000000000003a", Role::Forensic)
    }
}

/// A copy whose case was refused by the bucket beside it.
fn without_its_case() -> SealResult {
    let reason = format!("the case in s3://{BUCKET}/cases/IR-20261121-3f9a1c2e/ (AccessDenied: Access Denied)");
    SealResult { kept: None, missing: vec![reason], ..forensic() }
}

fn told(results: &[SealResult], forensics: Option<&AccountId>, may_be_repeated: bool) -> String {
    let forensics = forensics.map(|account| ForensicsAccount { account, case_bucket: Some(BUCKET) });
    told_of(results, forensics, may_be_repeated)
}

fn told_of(results: &[SealResult], forensics: Option<ForensicsAccount<'_>>, may_be_repeated: bool) -> String {
    let news = SealNews { results, case_bucket: "cases-of-111122223333", forensics, may_be_repeated };
    let message = sealed_notification(news).expect("news");
    assert!(message.subject.is_ascii() && message.subject.len() < 100, "{}", message.subject);
    format!("{}\n\n{}", message.subject, message.text)
}

#[test]
fn a_sealed_set_says_what_is_proved_and_what_is_not() {
    insta::assert_snapshot!("sealed_set", told(&sources(), Some(&forensics()), false));
}

#[test]
fn a_set_sealed_in_place_says_so() {
    let text = told(&sources()[..1], None, false);
    assert!(text.contains("It stays in its own account: no forensics account is configured."), "{text}");
}

#[test]
fn a_copy_that_failed_without_a_word_is_told_in_aws_s_words() {
    insta::assert_snapshot!("sealed_failed", told(&[failed()], Some(&forensics()), true));
}

#[test]
fn a_forensic_copy_says_how_it_compares() {
    insta::assert_snapshot!("sealed_forensic", told(&[forensic()], Some(&forensics()), false));
}

#[test]
fn a_case_that_could_not_be_kept_is_said_first_and_what_to_do_about_it() {
    insta::assert_snapshot!("sealed_without_its_case", told(&[without_its_case()], Some(&forensics()), false));
}

#[test]
fn of_several_copies_the_last_case_kept_is_named() {
    let later = SealResult { kept: Some(CaseKept { bucket: BUCKET.to_owned(), objects: 21 }), ..forensic() };
    let text = told(&[forensic(), later], Some(&forensics()), false);
    assert_eq!(text.matches(&format!("s3://{BUCKET}/")).count(), 1, "{text}");
    assert!(text.contains(", 21 objects, "), "{text}");
}

#[test]
fn without_a_bucket_there_the_message_says_that_the_case_is_kept_once() {
    let account = forensics();
    let forensics = ForensicsAccount { account: &account, case_bucket: None };
    let text = told_of(&[SealResult { kept: None, ..forensic() }], Some(forensics), false);
    assert!(text.contains("It is kept nowhere else: ForensicsCaseBucket names no bucket"), "{text}");
    assert!(!text.contains("ITS CASE COULD NOT BE KEPT THERE"), "nothing failed: {text}");
    let text = told_of(&sources(), Some(forensics), false);
    assert!(!text.contains("kept nowhere else"), "nothing is there yet: {text}");
}

#[test]
fn a_copy_with_other_content_is_said_loudly() {
    let compared = Some(Compared { same_blocks: Some(true), same_content: Some(false) });
    let outcome = SealOutcome::Failed("it is not what its source is: the content differs".to_owned());
    let text = told(&[SealResult { compared, outcome, spent: None, ..forensic() }], Some(&forensics()), false);
    assert!(text.starts_with("[Tourniquet] NOT SEALED: 1 of 1 snapshot of "), "{text}");
    assert!(text.contains("ITS CONTENT IS NOT THE ONE OF ITS SOURCE"), "{text}");
    assert!(!text.contains("you may delete it"), "{text}");
}

#[test]
fn the_longest_subject_fits() {
    let mut results = vec![result("snap-0000000000000000a", Role::Source); 1000];
    for result in &mut results {
        result.region = Region::parse("ap-southeast-99").expect("a Region");
        result.outcome = SealOutcome::Failed("x".to_owned());
    }
    told(&results, None, true);
}

#[test]
fn without_news_there_is_no_message() {
    let news = SealNews { results: &[], case_bucket: "b", forensics: None, may_be_repeated: false };
    assert_eq!(sealed_notification(news), None);
}

#[test]
fn the_answer_is_one_object_of_plain_words() {
    let answer = SealAnswer { snapshots: vec![forensic(), failed()], ignored: Vec::new() };
    insta::assert_json_snapshot!("sealed_answer", answer);
    let again: SealAnswer = serde_json::from_str(&serde_json::to_string(&answer).expect("JSON")).expect("an answer");
    assert_eq!(again, answer);
}
