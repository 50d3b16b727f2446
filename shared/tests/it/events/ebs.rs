//! Events of EBS about snapshots.

use proptest::prelude::*;
use proptest::sample::Index;
use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::event::{IgnoredReason, LARGEST_EVENT, SnapshotEvent, SnapshotEventKind, SnapshotRef, parse_snapshot_event};
use tourniquet::id::SnapshotId;

use super::hostile::{pointers, with};
use crate::checks::event::check;
use crate::support::{HOSTILE, account, arn, at, events_for, sample};

fn event(name: &str) -> Value {
    let events = events_for("seal-snapshot");
    let (_, bytes) = events.iter().find(|(known, _)| known == name).expect("a sample event");
    serde_json::from_slice(bytes).expect("JSON")
}

fn read(event: &Value) -> Result<SnapshotEvent, IgnoredReason> {
    parse_snapshot_event(event.to_string().as_bytes()).map_err(|ignored| ignored.reason)
}

/// What `name` says once `value` stands at `pointer`.
fn changed(name: &str, pointer: &str, value: impl Into<Value>) -> Result<SnapshotEvent, IgnoredReason> {
    let mut event = event(name);
    *event.pointer_mut(pointer).expect("a field") = value.into();
    read(&event)
}

fn snapshot(last: char, source: &str, completed: bool) -> SnapshotRef {
    let id = SnapshotId::parse(&format!("snap-0123456789abcdef{last}")).expect("a snapshot id");
    SnapshotRef { snapshot: id, source: Some(arn(source)), completed }
}

const FIRST_VOLUME: &str = "arn:aws:ec2::eu-west-1:volume/vol-0123456789abcdef0";
const SECOND_VOLUME: &str = "arn:aws:ec2::eu-west-1:volume/vol-0123456789abcdef1";
const ORIGINAL: &str = "arn:aws:ec2::eu-west-1:snapshot/snap-0123456789abcdef0";

#[rstest]
#[case("snapshot-completed", SnapshotEventKind::CreateSnapshot, None, vec![snapshot('0', FIRST_VOLUME, true)])]
#[case("snapshot-set-completed", SnapshotEventKind::CreateSnapshots, None,
    vec![snapshot('0', FIRST_VOLUME, true), snapshot('1', SECOND_VOLUME, true)])]
#[case("snapshot-set-failed", SnapshotEventKind::CreateSnapshots, Some("Snapshot snap-0123456789abcdef1 is in status error"),
    vec![snapshot('0', FIRST_VOLUME, true), snapshot('1', SECOND_VOLUME, false)])]
#[case("copy-completed", SnapshotEventKind::CopySnapshot, None, vec![snapshot('2', ORIGINAL, true)])]
#[case("copy-failed", SnapshotEventKind::CopySnapshot, Some("Given key ID is not accessible"),
    vec![snapshot('2', ORIGINAL, false)])]
fn an_event_says_what_ended_how_and_of_which_snapshots(
    #[case] name: &str,
    #[case] kind: SnapshotEventKind,
    #[case] cause: Option<&str>,
    #[case] snapshots: Vec<SnapshotRef>,
) {
    let said = read(&event(name)).expect("an event about snapshots");
    assert_eq!((said.kind, said.succeeded, said.cause.as_deref()), (kind, cause.is_none(), cause));
    assert_eq!(said.snapshots, snapshots);
    assert_eq!((said.account, said.region.as_str()), (account(), "eu-west-1"));
    let ended = if kind == SnapshotEventKind::CopySnapshot { "2026-11-21T21:31:09Z" } else { "2026-11-21T21:04:41Z" };
    assert_eq!(said.at, at(ended));
}

#[test]
fn every_sample_is_an_event_about_snapshots_and_no_finding() {
    let events = events_for("seal-snapshot");
    assert!(events.len() > 5);
    for (name, bytes) in events {
        assert!(parse_snapshot_event(&bytes).is_ok(), "{name}");
        let parsed = check(&bytes);
        assert!(matches!(&parsed[..], [tourniquet::event::Parsed::Ignored(_)]), "{name}: {parsed:?}");
    }
}

#[rstest]
#[case::the_region_in_the_account_s_place("arn:aws:ec2::eu-west-1:snapshot/snap-0123456789abcdef7")]
#[case::the_region_of_another_in_the_account_s_place("arn:aws:ec2::us-west-2:snapshot/snap-0123456789abcdef7")]
#[case::no_account("arn:aws:ec2:eu-west-1::snapshot/snap-0123456789abcdef7")]
#[case::its_account("arn:aws:ec2:eu-west-1:111122223333:snapshot/snap-0123456789abcdef7")]
#[case::the_bare_id("snap-0123456789abcdef7")]
fn a_snapshot_is_found_in_every_form_ebs_has_written(#[case] named: &str) {
    let said = changed("snapshot-completed", "/detail/snapshot_id", named).expect("an event about snapshots");
    assert_eq!(said.snapshots[0].snapshot.as_str(), "snap-0123456789abcdef7");
    let said = changed("snapshot-set-completed", "/detail/snapshots/1/snapshot_id", named).expect("an event about snapshots");
    assert_eq!(said.snapshots[1].snapshot.as_str(), "snap-0123456789abcdef7");
}

#[rstest]
#[case::nothing(Value::Null)]
#[case::no_text(json!(["snap-0123456789abcdef0"]))]
#[case::another_account_s(json!("arn:aws:ec2:eu-west-1:444455556666:snapshot/snap-0123456789abcdef0"))]
#[case::another_service_s(json!("arn:aws:rds:eu-west-1::snapshot/snap-0123456789abcdef0"))]
#[case::a_volume(json!("arn:aws:ec2:eu-west-1::volume/vol-0123456789abcdef0"))]
#[case::a_pattern(json!("arn:aws:ec2:eu-west-1::snapshot/*"))]
#[case::no_id(json!("snap-1; rm -rf /"))]
fn an_event_that_names_no_snapshot_of_its_account_is_ignored(#[case] named: Value) {
    let ignored = Err(IgnoredReason::IncompleteEvent);
    assert_eq!(changed("snapshot-completed", "/detail/snapshot_id", named.clone()), ignored);
    assert_eq!(changed("copy-failed", "/detail/snapshot_id", named.clone()), ignored);
    assert_eq!(changed("snapshot-set-completed", "/detail/snapshots/1/snapshot_id", named.clone()), ignored);
    // Of a set that failed, some may never have been begun.
    let said = changed("snapshot-set-failed", "/detail/snapshots/1/snapshot_id", named).expect("an event about snapshots");
    assert_eq!(said.snapshots.len(), 1);
    assert!(!said.succeeded);
}

#[rstest]
#[case("/account", json!("11112222333"))]
#[case("/account", Value::Null)]
#[case("/region", json!("eu-west"))]
#[case("/detail/result", json!("pending"))]
#[case("/detail/result", Value::Null)]
#[case("/detail/snapshots", json!([]))]
#[case("/detail/snapshots", json!({}))]
fn what_is_missing_or_malformed_is_named(#[case] pointer: &str, #[case] value: Value) {
    assert_eq!(changed("snapshot-set-completed", pointer, value), Err(IgnoredReason::IncompleteEvent));
}

#[test]
fn the_end_stands_in_for_the_time_of_the_event() {
    let said = changed("snapshot-completed", "/time", Value::Null).expect("an event about snapshots");
    assert_eq!(said.at, at("2026-11-21T21:04:40Z"));
    let mut neither = event("snapshot-completed");
    neither["time"] = "yyyy-mm-ddThh:mm:ssZ".into();
    neither["detail"]["endTime"] = Value::Null;
    assert_eq!(read(&neither), Err(IgnoredReason::IncompleteEvent));
}

#[rstest]
#[case("/source", "aws.guardduty")]
#[case("/detail-type", "EBS Volume Notification")]
#[case("/detail-type", "EBS Multi-Volume Snapshots Completion Status")]
#[case("/detail/event", "createSnapshots")]
#[case("/detail/event", "deleteSnapshot")]
#[case("/detail/event", "shareSnapshot")]
#[case("/detail/event", "archiveSnapshot")]
#[case("/detail/event", "permanentRestoreSnapshot")]
#[case("/detail/event", "CreateSnapshot")]
#[case("/detail/event", "")]
fn every_other_event_is_an_unknown_envelope(#[case] pointer: &str, #[case] value: &str) {
    assert_eq!(changed("snapshot-completed", pointer, value), Err(IgnoredReason::UnknownEnvelope));
}

#[test]
fn what_is_no_event_is_ignored_with_a_reason() {
    let reason = |bytes: &[u8]| parse_snapshot_event(bytes).map_err(|ignored| ignored.reason);
    assert_eq!(reason(b"{"), Err(IgnoredReason::Malformed));
    assert_eq!(reason(b"[]"), Err(IgnoredReason::UnknownEnvelope));
    assert_eq!(reason(&sample("contain-instance/crypto-mining-instance")), Err(IgnoredReason::UnknownEnvelope));
    let mut padded = event("snapshot-completed").to_string().into_bytes();
    padded.resize(LARGEST_EVENT, b' ');
    assert!(reason(&padded).is_ok(), "an event of the largest size is read");
    padded.push(b' ');
    assert_eq!(reason(&padded), Err(IgnoredReason::TooLarge));
}

#[test]
fn a_set_is_no_success_if_one_of_its_snapshots_is_in_error_and_names_each_once() {
    let said = changed("snapshot-set-completed", "/detail/snapshots/1/status", "error").expect("an event about snapshots");
    assert!(!said.succeeded && said.snapshots[0].completed && !said.snapshots[1].completed, "{said:?}");
    let twice = event("snapshot-set-completed")["detail"]["snapshots"][0].clone();
    let said = changed("snapshot-set-completed", "/detail/snapshots/1", twice).expect("an event about snapshots");
    assert_eq!(said.snapshots, [snapshot('0', FIRST_VOLUME, true)]);
    // A feed that leaves the status out says it of the set.
    let said = changed("snapshot-set-completed", "/detail/snapshots/1/status", Value::Null).expect("an event about snapshots");
    assert!(said.succeeded && said.snapshots[1].completed, "{said:?}");
}

#[rstest]
#[case(Value::Null)]
#[case(json!(""))]
#[case(json!("vol-0123456789abcdef0"))]
#[case(json!("arn:aws:s3:::bucket"))]
#[case(json!("arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"))]
fn a_source_that_is_neither_volume_nor_snapshot_is_left_out(#[case] source: Value) {
    let said = changed("snapshot-completed", "/detail/source", source).expect("an event about snapshots");
    assert_eq!(said.snapshots[0].source, None);
}

#[test]
fn hostile_text_in_any_field_stays_data() {
    for (_, bytes) in events_for("seal-snapshot") {
        let event: Value = serde_json::from_slice(&bytes).expect("JSON");
        for pointer in pointers(&event) {
            for hostile in HOSTILE {
                check(&with(&event, &pointer, hostile.into()));
            }
            for value in [Value::Null, json!({}), json!([]), json!(-1.5e300), json!(true), "\u{1f980}".repeat(3_000).into()] {
                check(&with(&event, &pointer, value));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_torn_event_is_read_without_panic(of in any::<Index>(), at in any::<Index>(), byte in any::<u8>()) {
        let events = events_for("seal-snapshot");
        let mut bytes = of.get(&events).1.clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check(&bytes);
        bytes.truncate(at);
        check(&bytes);
    }
}
