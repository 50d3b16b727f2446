//! Plans and the steps they are made of.

use proptest::prelude::*;
use tourniquet::id::{Partition, PrincipalName};
use tourniquet::plan::{Cut, Plan, Stage};
use tourniquet::policy;
use tourniquet::step::{
    AttachDenyAll, AttachQuarantineMarker, DeactivateKey, DeactivateMfaDevice, DeactivateServiceCredential,
    DeactivateSigningCertificate, DeactivateSshKey, DenyAll, DenyByBoundary, DenySession, Entity, JoinDenyGroup,
    RemoveLoginProfile, RevokeOlderSessions, Step,
};

use crate::checks::text::holds_a_key;
use crate::steps_instance::steps_around_an_instance;
use crate::support::{FIRST_KEY, INSTANCE, ROLE_ID, SECOND_KEY, arn, at, key, name, session, unique_id};

pub(crate) fn user() -> PrincipalName {
    name("svc-build")
}

/// One of every step. Exhaustive: a new one does not compile here until it is listed.
fn every_step() -> Vec<Step> {
    let steps = [steps_by_iam(), steps_around_an_instance()].concat();
    let listed = |step: &Step| match step {
        Step::DenyAll(_)
        | Step::DenySession(_)
        | Step::RevokeOlderSessions(_)
        | Step::DeactivateKey(_)
        | Step::RemoveLoginProfile(_)
        | Step::DeactivateServiceCredential(_)
        | Step::DeactivateSshKey(_)
        | Step::DeactivateSigningCertificate(_)
        | Step::AttachQuarantineMarker(_)
        | Step::AttachDenyAll(_)
        | Step::DenyByBoundary(_)
        | Step::JoinDenyGroup(_)
        | Step::DeactivateMfaDevice(_)
        | Step::PrepareIsolationGroup(_)
        | Step::IsolateInterface(_)
        | Step::ProtectFromTermination(_)
        | Step::ProtectFromStop(_)
        | Step::StopOnShutdown(_)
        | Step::KeepVolume(_)
        | Step::ProtectFromScaleIn(_)
        | Step::EnterStandby(_)
        | Step::DetachFromAutoScaling(_)
        | Step::DeregisterTarget(_)
        | Step::DeregisterFromLoadBalancer(_)
        | Step::DisassociateAddress(_)
        | Step::RemovePublicAddress(_)
        | Step::LowerConnectionTimeout(_)
        | Step::UntrackConnections(_)
        | Step::SnapshotVolumes(_)
        | Step::LockSnapshot(_) => step.name(),
    };
    let names: std::collections::BTreeSet<_> = steps.iter().map(listed).collect();
    assert_eq!(names.len(), 30, "every step is listed, under a name of its own");
    steps
}

/// One of every step on an identity.
fn steps_by_iam() -> Vec<Step> {
    let instance = arn("arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f67890");
    let credential = "ACCABEDROCKQ7EXAMPLE".to_owned();
    vec![
        DenyAll { user: user() }.into(),
        DenySession {
            role: name("developer"),
            role_id: unique_id(ROLE_ID),
            session: session("m.rossi@example.com"),
            instance: None,
        }
        .into(),
        DenySession {
            role: name("developer"),
            role_id: unique_id(ROLE_ID),
            session: session(INSTANCE),
            instance: Some(instance),
        }
        .into(),
        revocation("2026-11-21T20:48:30.250Z").into(),
        DeactivateKey { user: user(), key: key(FIRST_KEY) }.into(),
        RemoveLoginProfile { user: user(), created: Some(at("2026-02-03T04:05:06Z")), reset_required: false }.into(),
        DeactivateServiceCredential { user: user(), credential, service: "bedrock.amazonaws.com".to_owned() }.into(),
        DeactivateSshKey { user: user(), key: "APKASSHKEYQ77EXAMPLE".to_owned() }.into(),
        DeactivateSigningCertificate { user: user(), certificate: "CERTIFICATEQ7EXAMPLE".to_owned() }.into(),
        AttachQuarantineMarker { user: user(), partition: Partition::GovCloud, policy: None }.into(),
        AttachQuarantineMarker {
            user: user(),
            partition: Partition::Aws,
            policy: Some("AWSCompromisedKeyQuarantineV3".to_owned()),
        }
        .into(),
        attach_deny_all(Entity::User(user())).into(),
        attach_deny_all(Entity::Role(name("developer"))).into(),
        boundary(Entity::User(user()), Some("arn:aws:iam::111122223333:policy/limits/build")).into(),
        boundary(Entity::Role(name("developer")), None).into(),
        JoinDenyGroup { user: user(), group: "TourniquetDenied".to_owned(), before: false }.into(),
        DeactivateMfaDevice {
            user: user(),
            serial: "arn:aws:iam::111122223333:mfa/phone".to_owned(),
            enabled: Some(at("2026-11-21T20:45:00Z")),
        }
        .into(),
    ]
}

pub(crate) fn attach_deny_all(principal: Entity) -> AttachDenyAll {
    AttachDenyAll { principal, partition: Partition::Aws, before: false }
}

pub(crate) fn boundary(principal: Entity, old: Option<&str>) -> DenyByBoundary {
    DenyByBoundary { principal, partition: Partition::China, old: old.map(arn), before: false }
}

pub(crate) fn revocation(cutoff: &str) -> RevokeOlderSessions {
    RevokeOlderSessions { role: name("developer"), cutoff: at(cutoff) }
}

#[test]
fn every_step_says_what_it_changes_what_it_needs_and_how_it_is_undone() {
    let lines = every_step().into_iter().map(|step| {
        let undo = step.undo();
        let note = undo.note.map(|note| format!("\n  note: {note}")).unwrap_or_default();
        format!(
            "{} on {}\n  needs {}\n  do:   {}\n  undo: {}{note}\n",
            step.name(),
            step.on(),
            step.permissions().join(", "),
            step.command(),
            undo.commands.join("\n        ")
        )
    });
    insta::assert_snapshot!("every_step", lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_step_needs_something_and_shows_no_key_and_is_undone_by_a_line_or_says_why_not() {
    for step in every_step() {
        let services = ["iam:", "ec2:", "autoscaling:", "elasticloadbalancing:"];
        assert!(!step.permissions().is_empty(), "{}", step.name());
        let is_known = |action: &&str| services.iter().any(|service| action.starts_with(service));
        assert!(step.permissions().iter().all(is_known), "{}", step.name());
        assert!(!holds_a_key(&step.on()), "{}", step.on());
        assert!(!step.undo().commands.is_empty() || step.undo().note.is_some(), "{}", step.name());
    }
    for step in steps_by_iam() {
        assert!(step.permissions().iter().all(|action| action.starts_with("iam:")), "{}", step.name());
        assert!(!step.undo().commands.is_empty(), "{}", step.name());
    }
}

/// IAM names may begin with a dash.
#[test]
fn a_name_that_begins_with_a_dash_is_never_taken_for_an_option() {
    let lines = |step: &Step| [step.undo().commands, vec![step.command()]].concat();
    for step in steps_by_iam() {
        let mut stored = serde_json::to_value(&step).expect("JSON");
        for field in ["user", "role", "group"] {
            if let Some(name) = stored.get_mut(field) {
                *name = format!("-{}", name.as_str().expect("a name")).into();
            }
        }
        let dashed: Step = serde_json::from_value(stored).expect("a step");
        for (plain, dashed) in lines(&step).iter().zip(lines(&dashed)) {
            assert_ne!(*plain, dashed);
            let apart = dashed.replace("-name=-", "-name ");
            assert_eq!(*plain, apart, "{dashed}");
        }
    }
}

#[test]
fn every_step_is_stored_and_read_back_unchanged() {
    for step in every_step() {
        let stored = serde_json::to_value(&step).expect("JSON");
        assert_eq!(stored["step"], step.name(), "it is stored under the name it is reported by");
        assert_eq!(serde_json::from_value::<Step>(stored).expect("a step"), step);
    }
}

/// The words of a shell line, as POSIX splits them; nothing where a quote is left open or something is left to expand.
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut characters) = (Vec::new(), None::<String>, line.chars());
    while let Some(character) = characters.next() {
        match character {
            ' ' => words.extend(word.take()),
            '\'' => loop {
                match characters.next()? {
                    '\'' => {
                        word.get_or_insert_default();
                        break;
                    }
                    quoted => word.get_or_insert_default().push(quoted),
                }
            },
            '\\' => word.get_or_insert_default().push(characters.next()?),
            '\n' | '\t' | '"' | '$' | '`' | ';' | '&' | '|' | '<' | '>' | '(' | ')' | '*' | '?' | '[' | '#' | '~' | '!' => {
                return None;
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Some(words)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_an_id_holds_a_line_hands_it_to_aws_as_one_word(id in any::<String>()) {
        let steps: [Step; 3] = [
            DeactivateServiceCredential { user: user(), credential: id.clone(), service: "x".to_owned() }.into(),
            DeactivateSshKey { user: user(), key: id.clone() }.into(),
            DeactivateSigningCertificate { user: user(), certificate: id.clone() }.into(),
        ];
        for line in steps.iter().flat_map(|step| step.undo().commands.into_iter().chain([step.command()])) {
            let words = words(&line);
            prop_assert!(words.as_ref().is_some_and(|words| words.len() == 9 && words[6] == id), "{line}: {words:?}");
        }
    }
}

#[test]
fn a_document_stays_one_word_of_its_line() {
    for step in every_step().into_iter().filter(|step| step.command().contains("--policy-document")) {
        let words = words(&step.command()).expect("a shell line");
        let document = words.last().expect("a document");
        serde_json::from_str::<serde_json::Value>(document).expect("JSON");
        assert_eq!(words.len(), 9, "{words:?}");
    }
}

pub(crate) fn plan(cut: Vec<Cut>, steps: Vec<Step>) -> Plan {
    Plan { cut, then: vec![Stage { name: "credentials".to_owned(), steps }], fallback: Vec::new() }
}

pub(crate) fn deactivate(text: &str) -> Step {
    DeactivateKey { user: user(), key: key(text) }.into()
}

#[test]
fn a_plan_is_undone_newest_step_first() {
    let marker = AttachQuarantineMarker { user: user(), partition: Partition::Aws, policy: None };
    let plan = plan(
        vec![DenyAll { user: user() }.into()],
        vec![
            deactivate(FIRST_KEY),
            RemoveLoginProfile { user: user(), created: None, reset_required: true }.into(),
            marker.into(),
        ],
    );
    let undo = plan.undo();
    let order: Vec<_> = undo.iter().filter_map(|line| line.strip_prefix("aws iam ")?.split(' ').next()).collect();
    // The deny goes last, and only once what replaces it is there: never a moment without either.
    assert_eq!(order, ["detach-user-policy", "create-login-profile", "put-user-policy"]);
    // A note stands before the line it is about.
    let at = undo.iter().position(|line| line.starts_with("# a key that leaked")).expect("the note");
    assert!(undo[at + 1].contains("update-access-key"));
}

#[test]
fn pasting_the_undo_lines_never_turns_a_leaked_key_on() {
    let undo = plan(Vec::new(), vec![deactivate(FIRST_KEY), deactivate(SECOND_KEY)]).undo();
    let keys: Vec<_> = undo.iter().filter(|line| line.contains("update-access-key")).collect();
    assert_eq!(keys.len(), 2);
    for line in &undo {
        assert!(line.starts_with("# "), "{line}");
    }
    assert!(keys.iter().all(|line| line.starts_with("# aws iam update-access-key ") && line.ends_with("--status Active")));
}

#[test]
fn a_new_password_is_asked_for_and_never_made_up() {
    let step: Step = RemoveLoginProfile { user: user(), created: None, reset_required: false }.into();
    let [line] = &step.undo().commands[..] else { unreachable!("one line") };
    // Unset, the shell refuses the line instead of setting an empty or a well-known password.
    assert!(line.ends_with(r#" --password-reset-required --password "${NEW_PASSWORD:?}""#), "{line}");
}

#[test]
fn a_user_let_back_in_stays_closed_to_sessions_made_before() {
    let undo = Step::from(DenyAll { user: name("alice@example.com") }).undo().commands;
    let [swap, later] = &undo[..] else { unreachable!("two lines: {undo:?}") };
    // The deny goes only if what replaces it is there.
    let (put, delete) = swap.split_once(" && ").expect("both in one line");
    let (before, document) = put.split_once(" --policy-document ").expect("a document");
    assert_eq!(before, "aws iam put-user-policy --user-name alice@example.com --policy-name TourniquetRevokeOlderSessions");
    assert_eq!(delete, "aws iam delete-user-policy --user-name alice@example.com --policy-name TourniquetDenyAll");
    assert_eq!(
        later,
        "# 36 hours later: aws iam delete-user-policy --user-name alice@example.com --policy-name TourniquetRevokeOlderSessions"
    );
    for line in &undo {
        assert_eq!(line.matches('\'').count() % 2, 0, "{line}");
        assert!(!line.contains('\n'));
    }
    // What the shell makes of it: two single-quoted runs around one substitution in double quotes.
    let parts: Vec<_> = document.split('\'').collect();
    let ["", head, date, tail, ""] = parts[..] else { unreachable!("{parts:?}") };
    assert_eq!(date, r#""$(date -u +%Y-%m-%dT%H:%M:%SZ)""#);
    let typed = format!("{head}2026-11-23T09:00:00Z{tail}");
    serde_json::from_str::<serde_json::Value>(&typed).expect("JSON");
    assert_eq!(typed, policy::revoke_older_sessions(at("2026-11-23T09:00:00Z")), "the same policy as a role's");
}

#[test]
fn the_commands_of_a_plan_are_its_steps_in_order_with_the_keys_whole() {
    let plan = plan(vec![DenyAll { user: user() }.into()], vec![deactivate(FIRST_KEY), deactivate(SECOND_KEY)]);
    let commands = plan.commands();
    assert_eq!(commands, plan.steps().map(Step::command).collect::<Vec<_>>());
    assert!(
        commands[0].starts_with("aws iam put-user-policy ")
            && commands[1].contains(FIRST_KEY)
            && commands[2].contains(SECOND_KEY)
    );
    assert!(Plan::default().commands().is_empty());
}

#[test]
fn a_plan_without_some_steps_keeps_the_others_and_no_empty_stage() {
    let marker = |policy: Option<&str>| -> Step {
        AttachQuarantineMarker { user: user(), partition: Partition::Aws, policy: policy.map(str::to_owned) }.into()
    };
    let whole = plan(vec![DenyAll { user: user() }.into()], vec![deactivate(FIRST_KEY), marker(None)]);
    assert_eq!(whole.clone().without(&[]), whole);
    assert_eq!(whole.clone().without(&[deactivate(SECOND_KEY)]), whole);
    // The same change counts, however it was carried out.
    let rest = whole.clone().without(&[marker(Some("AWSCompromisedKeyQuarantineV2")), DenyAll { user: user() }.into()]);
    assert_eq!(rest, plan(Vec::new(), vec![deactivate(FIRST_KEY)]));
    assert_eq!(rest.without(&[deactivate(FIRST_KEY)]), Plan::default());
    let all: Vec<_> = whole.steps().cloned().collect();
    assert!(whole.without(&all).is_empty());
}

pub(crate) fn deny_session(of: &str, on_instance: bool) -> DenySession {
    let instance = on_instance.then(|| arn("arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f67890"));
    DenySession { role: name("developer"), role_id: unique_id(ROLE_ID), session: session(of), instance }
}

#[test]
fn what_changes_the_same_thing_is_the_same_change_however_far_it_reaches() {
    let same: [(Step, Step); 3] = [
        (deny_session(INSTANCE, false).into(), deny_session(INSTANCE, true).into()),
        (revocation("2026-11-21T20:48:30Z").into(), revocation("2026-11-21T20:55:00Z").into()),
        (DenyAll { user: user() }.into(), DenyAll { user: user() }.into()),
    ];
    for (one, other) in &same {
        assert!(one.is_same_change(other) && other.is_same_change(one), "{one:?} {other:?}");
        assert_eq!(other.reaches_further(one), one != other, "{one:?} {other:?}");
        assert!(!one.reaches_further(other), "{one:?} {other:?}");
    }
    let other_role = RevokeOlderSessions { role: name("other"), ..revocation("2026-11-21T20:48:30Z") };
    let different: [(Step, Step); 4] = [
        (deny_session(INSTANCE, true).into(), deny_session("someone", true).into()),
        (revocation("2026-11-21T20:48:30Z").into(), other_role.into()),
        (revocation("2026-11-21T20:48:30Z").into(), deny_session(INSTANCE, false).into()),
        (deactivate(FIRST_KEY), deactivate(SECOND_KEY)),
    ];
    for (one, other) in &different {
        assert!(!one.is_same_change(other) && !other.is_same_change(one), "{one:?} {other:?}");
    }
}

#[test]
fn a_session_s_deny_with_its_instance_replaces_the_one_without_and_never_the_reverse() {
    let plan = |steps: &[(&str, bool)]| Plan {
        cut: steps.iter().map(|(of, on_instance)| deny_session(of, *on_instance).into()).collect(),
        then: Vec::new(),
        fallback: Vec::new(),
    };
    assert_eq!(plan(&[(INSTANCE, false)]).merged(&plan(&[(INSTANCE, true)])), plan(&[(INSTANCE, true)]));
    assert_eq!(plan(&[(INSTANCE, true)]).merged(&plan(&[(INSTANCE, false)])), plan(&[(INSTANCE, true)]));
    let two = plan(&[(INSTANCE, false), ("someone", false)]);
    assert_eq!(two.merged(&plan(&[("someone", true)])), plan(&[(INSTANCE, false), ("someone", true)]));
}

#[test]
fn sessions_of_one_role_have_policies_of_their_own_however_alike_their_names() {
    // The attacker chooses session names: eight digits of a hash could be made to collide.
    let policy_name = policy::deny_session_name(&session(INSTANCE));
    assert_eq!(policy_name, format!("TourniquetDenySession-{}", tourniquet::text::sha256(INSTANCE.as_bytes())));
    assert!(policy_name.len() <= 128, "the longest name IAM takes");
    let names = |step: DenySession| {
        let step = Step::from(step);
        (step.command(), step.undo().commands.join(""))
    };
    let (put, delete) = names(deny_session(INSTANCE, true));
    assert!(put.contains(&policy_name) && delete.contains(&policy_name), "{put}\n{delete}");
}

#[test]
fn what_leaves_the_case_holds_no_whole_key() {
    let plan = plan(vec![DenyAll { user: user() }.into()], vec![deactivate(FIRST_KEY), deactivate(SECOND_KEY)]);
    let undo = plan.undo().join("\n");
    assert!(holds_a_key(&undo), "the case itself keeps the keys whole");
    let redacted = plan.redacted(&undo);
    assert!(!holds_a_key(&redacted), "{redacted}");
    assert!(redacted.contains("AKIA…MPLE") && redacted.contains("AKIA…ONDQ"), "{redacted}");
    assert_eq!(plan.redacted("nothing to hide"), "nothing to hide");
}

#[test]
fn a_later_cut_off_replaces_the_earlier_one_and_an_earlier_one_never_the_later() {
    let plan = |cutoff: &str| Plan { cut: vec![revocation(cutoff).into()], ..Plan::default() };
    let (early, late) = (plan("2026-11-21T20:48:30Z"), plan("2026-11-21T20:55:00Z"));
    assert_eq!(early.clone().merged(&late), late);
    assert_eq!(late.clone().merged(&early), late);
}

#[test]
fn a_plan_revokes_before_its_latest_cut_off_and_one_without_a_revocation_before_none() {
    let cuts = vec![revocation("2026-11-21T20:55:00Z").into(), revocation("2026-11-21T20:48:30Z").into()];
    assert_eq!(Plan { cut: cuts, ..Plan::default() }.revoked_before(), Some(at("2026-11-21T20:55:00Z")));
    assert_eq!(plan(vec![DenyAll { user: user() }.into()], vec![deactivate(FIRST_KEY)]).revoked_before(), None);
}
