//! Plans merged: what a case taken up again still has to do.

use proptest::prelude::*;
use tourniquet::id::Partition;
use tourniquet::plan::{Cut, Plan, Stage};
use tourniquet::step::{
    AttachQuarantineMarker, DeactivateSigningCertificate, DeactivateSshKey, DenyAll, RemoveLoginProfile, RevokeOlderSessions,
    Step,
};
use tourniquet::timestamp::Timestamp;

use crate::plan::{deactivate, deny_session, plan, user};
use crate::support::{FIRST_KEY, INSTANCE, SECOND_KEY, at, name};

#[test]
fn a_step_as_it_was_done_stands_for_the_step_as_it_was_planned() {
    let marker = |policy: Option<&str>| -> Step {
        AttachQuarantineMarker { user: user(), partition: Partition::Aws, policy: policy.map(str::to_owned) }.into()
    };
    let mut done = plan(Vec::new(), vec![deactivate(FIRST_KEY), marker(None)]);
    done.put_as_done(&marker(None), &marker(Some("AWSCompromisedKeyQuarantineV2")));
    assert_eq!(done, plan(Vec::new(), vec![deactivate(FIRST_KEY), marker(Some("AWSCompromisedKeyQuarantineV2"))]));
    assert!(done.undo()[0].contains("AWSCompromisedKeyQuarantineV2"), "what was attached is what is detached");
    // Planned again, it is known to be the same change.
    assert_eq!(done.clone().merged(&plan(Vec::new(), vec![marker(None)])), done);
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::sample::select(vec![FIRST_KEY, SECOND_KEY]).prop_map(deactivate),
        any::<bool>().prop_map(|reset_required| RemoveLoginProfile { user: user(), created: None, reset_required }.into()),
        "[ab]".prop_map(|key| DeactivateSshKey { user: user(), key }.into()),
        "[ab]".prop_map(|certificate| DeactivateSigningCertificate { user: user(), certificate }.into()),
        prop::option::of(Just("AWSCompromisedKeyQuarantineV3".to_owned())).prop_map(|policy| AttachQuarantineMarker {
            user: user(),
            partition: Partition::Aws,
            policy
        }
        .into()),
    ]
}

fn a_plan() -> impl Strategy<Value = Plan> {
    let cut = prop_oneof![
        Just(Vec::new()),
        Just(vec![Cut::from(DenyAll { user: user() })]),
        any::<[bool; 2]>().prop_map(|[instance, other]| {
            vec![deny_session(INSTANCE, instance).into(), deny_session("someone", other).into()]
        }),
        (0_u64..100).prop_map(|seconds| {
            let cutoff = Timestamp::plus(at("2026-11-21T20:48:30Z"), std::time::Duration::from_secs(seconds));
            vec![Cut::from(RevokeOlderSessions { role: name("developer"), cutoff })]
        }),
    ];
    let stage = (prop::sample::select(vec!["credentials", "more"]), prop::collection::vec(a_step(), 0..4));
    (cut, prop::collection::vec(stage, 0..3)).prop_map(|(cut, stages)| {
        let empty = Plan { cut, ..Plan::default() };
        // Merged stage by stage, so that neither a stage nor a step stands twice in the plan to begin with.
        stages.into_iter().fold(empty, |plan, (name, mut steps)| {
            let mut known: Vec<Step> = Vec::new();
            steps.retain(|step| {
                let is_new = !known.iter().any(|known| known.is_same_change(step));
                known.extend(is_new.then(|| step.clone()));
                is_new
            });
            plan.merged(&Plan { then: vec![Stage { name: name.to_owned(), steps }], ..Plan::default() })
        })
    })
}

proptest! {
    #[test]
    fn merging_a_plan_with_itself_or_with_nothing_changes_nothing(plan in a_plan()) {
        prop_assert_eq!(plan.clone().merged(&plan), plan.clone());
        prop_assert_eq!(plan.clone().merged(&Plan::default()), plan);
    }

    #[test]
    fn merging_twice_is_merging_once(known in a_plan(), fresh in a_plan()) {
        let once = known.merged(&fresh);
        prop_assert_eq!(once.clone().merged(&fresh), once);
    }

    #[test]
    fn merging_keeps_what_was_planned_first_and_adds_what_is_new(known in a_plan(), fresh in a_plan()) {
        let merged = known.clone().merged(&fresh);
        let is_revocation = |step: &&Step| matches!(step, Step::RevokeOlderSessions(_));
        for step in known.steps() {
            prop_assert!(merged.steps().any(|kept| kept == step || kept.is_same_change(step) && kept.reaches_further(step)), "{step:?} was lost");
        }
        for step in fresh.steps() {
            prop_assert!(merged.steps().any(|kept| kept.is_same_change(step)), "{step:?} was not added");
            prop_assert!(!merged.steps().any(|kept| step.is_same_change(kept) && step.reaches_further(kept)), "{step:?} asks for more than is planned");
        }
        for step in merged.steps() {
            prop_assert!(known.steps().chain(fresh.steps()).any(|given| given == step), "{step:?} came from nowhere");
            prop_assert_eq!(merged.steps().filter(|other| other.is_same_change(step)).count(), 1, "{:?} stands twice", step);
        }
        prop_assert!(merged.steps().filter(is_revocation).count() <= 1);
    }
}
