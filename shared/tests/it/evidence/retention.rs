//! What a person may delete is what nobody will miss.

use std::time::Duration;

use proptest::prelude::*;
use tourniquet::evidence::{KEPT_SETS, Keep, SetSnapshot, SnapshotSet, propose};
use tourniquet::id::{CaseId, SnapshotId};

use crate::support::at;

fn case(number: u32) -> CaseId {
    CaseId::parse(&format!("IR-20261121-{number:08x}")).expect("a case id")
}

/// Set `number`, taken `number` days after the first; unlocked, ours, of a closed case.
fn set(number: u32, of: u32) -> SnapshotSet {
    let snapshot = SnapshotId::parse(&format!("snap-{number:08x}")).expect("a snapshot id");
    SnapshotSet {
        case: case(of),
        taken_at: at("2026-11-21T20:48:00Z").plus(Duration::from_hours(24 * u64::from(number))),
        snapshots: vec![SetSnapshot { snapshot, locked: false }],
        case_open: false,
        recorded: true,
    }
}

fn ids(sets: &[SnapshotSet]) -> Vec<String> {
    sets.iter().map(|set| set.snapshots[0].snapshot.to_string()).collect()
}

#[test]
fn seven_sets_stay_however_many_snapshots_they_hold() {
    let mut sets: Vec<_> = (0..7).map(|number| set(number, 0)).collect();
    for set in &mut sets {
        let snapshot = set.snapshots[0].clone();
        set.snapshots.extend(std::iter::repeat_n(snapshot, 20));
    }
    let retention = propose(&sets, 10);
    assert_eq!((retention.counted, retention.delete.len()), (KEPT_SETS, 0));
}

#[test]
fn the_earliest_is_never_what_goes() {
    let sets: Vec<_> = (0..10).map(|number| set(number, 0)).collect();
    let retention = propose(&sets, 10);
    assert_eq!(ids(&retention.delete), ["snap-00000001", "snap-00000002", "snap-00000003"]);
    assert_eq!(retention.keep[0], (set(0, 0), Keep::EarliestOfInstance));
}

#[test]
fn of_cases_with_one_set_each_the_oldest_go_but_the_first() {
    let sets: Vec<_> = (0..9).map(|number| set(number, number)).collect();
    assert_eq!(ids(&propose(&sets, 10).delete), ["snap-00000001", "snap-00000002"]);
}

#[test]
fn the_earliest_of_a_case_with_others_stays() {
    let sets: Vec<_> = (0..10).map(|number| set(number, number / 2)).collect();
    let retention = propose(&sets, 10);
    assert_eq!(ids(&retention.delete), ["snap-00000001", "snap-00000003", "snap-00000005"]);
}

#[test]
fn a_locked_snapshot_keeps_its_whole_set() {
    let mut sets: Vec<_> = (0..9).map(|number| set(number, 0)).collect();
    sets[1].snapshots.push(SetSnapshot { snapshot: SnapshotId::parse("snap-000000ff").expect("an id"), locked: true });
    assert_eq!(ids(&propose(&sets, 10).delete), ["snap-00000002", "snap-00000003"]);
}

#[test]
fn an_open_case_keeps_all_its_sets() {
    let mut sets: Vec<_> = (0..9).map(|number| set(number, number % 2)).collect();
    for set in &mut sets {
        set.case_open = set.case == case(1);
    }
    assert_eq!(ids(&propose(&sets, 10).delete), ["snap-00000002", "snap-00000004"]);
}

#[test]
fn no_more_than_asked_for_are_proposed_at_once() {
    let sets: Vec<_> = (0..20).map(|number| set(number, 0)).collect();
    assert_eq!(ids(&propose(&sets, 2).delete), ["snap-00000001", "snap-00000002"]);
    assert!(propose(&sets, 0).delete.is_empty());
}

#[test]
fn a_forged_set_neither_counts_nor_takes_the_place_of_the_earliest() {
    let mut sets: Vec<_> = (1..=7).map(|number| set(number, 0)).collect();
    sets.extend((0..1).chain(8..40).map(|number| SnapshotSet { recorded: false, ..set(number, 0) }));
    let retention = propose(&sets, 10);
    assert_eq!((retention.counted, retention.delete.len()), (7, 0));
    sets.push(set(41, 0));
    assert_eq!(ids(&propose(&sets, 10).delete), ["snap-00000002"]);
}

prop_compose! {
    fn any_set()(number in 0_u32..24, of in 0_u32..4, locked in any::<bool>(), case_open in any::<bool>(), recorded in any::<bool>())
        -> SnapshotSet {
        let mut set = set(number, of);
        set.snapshots[0].locked = locked;
        SnapshotSet { case_open, recorded, ..set }
    }
}

proptest! {
    #[test]
    fn whatever_is_proposed_has_no_reason_to_stay(sets in prop::collection::vec(any_set(), 0..40), most in 0_usize..6) {
        let retention = propose(&sets, most);
        let ours: Vec<_> = sets.iter().filter(|set| set.recorded).collect();
        prop_assert!(retention.delete.len() <= most);
        prop_assert!(ours.len() - retention.delete.len() >= KEPT_SETS.min(ours.len()));
        prop_assert_eq!(retention.delete.len() + retention.keep.len(), sets.len());
        for set in &retention.delete {
            prop_assert!(set.recorded && !set.case_open && !set.snapshots[0].locked);
            let earlier = |other: &&&SnapshotSet| other.taken_at < set.taken_at;
            prop_assert!(ours.iter().any(|other| earlier(&other)));
            let of_its_case: Vec<_> = ours.iter().filter(|other| other.case == set.case).collect();
            prop_assert!(of_its_case.len() == 1 || of_its_case.iter().any(earlier));
        }
    }

    #[test]
    fn what_others_tag_changes_nothing(sets in prop::collection::vec(any_set(), 0..30), forged in prop::collection::vec(any_set(), 0..30)) {
        let alone = propose(&sets, 5);
        let forged = forged.into_iter().map(|set| SnapshotSet { recorded: false, ..set });
        let among_forged: Vec<_> = forged.chain(sets).collect();
        prop_assert_eq!(propose(&among_forged, 5).delete, alone.delete);
    }

    #[test]
    fn the_order_they_are_listed_in_changes_nothing(sets in prop::collection::vec(any_set(), 0..30)) {
        let mut reversed = sets.clone();
        reversed.reverse();
        let (one, other) = (propose(&sets, 5), propose(&reversed, 5));
        prop_assert_eq!(ids(&one.delete), ids(&other.delete));
    }
}
