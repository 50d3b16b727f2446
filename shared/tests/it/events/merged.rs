//! One principal mentioned several times in one finding: the richest mention stays, whatever the order.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::finding::{ElsewhereSort, Finding, RoleSession, Target, User};

use crate::support::{
    FIRST_KEY, ROLE_ID, SECOND_KEY, USER_ID, accused_role, accused_user, findings, key, name, sample, session, unique_id,
};

const OTHER_ROLE_ID: &str = "AROASECONDROLEEXAMPLE";

/// The finding of `event`, with `mentions` at `pointer`.
fn with(event: &str, pointer: &str, mentions: &[Value]) -> Finding {
    let mut event: Value = serde_json::from_slice(&sample(event)).expect("JSON");
    *event.pointer_mut(pointer).expect("where the principals stand") = Value::Array(mentions.to_vec());
    findings(&serde_json::to_vec(&event).expect("JSON")).remove(0)
}

fn imported(resources: &[Value]) -> Finding {
    with("leaked-access-key-security-hub-copy", "/detail/findings/0/Resources", resources)
}

fn imported_v2(resources: &[Value]) -> Finding {
    with("leaked-access-key-ocsf-copy", "/detail/findings/0/resources", resources)
}

fn sequence(actors: &[Value]) -> Finding {
    with("attack-sequence-one-actor", "/detail/service/detection/sequence/actors", actors)
}

type Feed = fn(&[Value]) -> Finding;

/// A principal in the words of each feed.
struct Spelt {
    asff: Value,
    ocsf: Value,
    actor: Value,
}

/// By the key it used: type, name, id and key.
fn by_key(user_type: &str, name: &str, id: Option<&str>, key: Option<&str>) -> Spelt {
    Spelt {
        asff: json!({ "Type": "AwsIamAccessKey", "Id": "AWS::IAM::AccessKey:unknown", "Details": { "AwsIamAccessKey": {
            "PrincipalType": user_type, "PrincipalName": name, "PrincipalId": id, "AccessKeyId": key } } }),
        ocsf: json!({ "type": "AWS::IAM::AccessKey", "uid": key, "data": {
            "user_type": user_type, "user_name": name, "principal_id": id, "access_key_id": key } }),
        actor: json!({ "user": { "type": user_type, "name": name, "uid": id, "credentialUid": key } }),
    }
}

/// By its ARN and, where the feed knows it, its id.
fn user_by_arn(name: &str, id: Option<&str>) -> Spelt {
    let arn = format!("arn:aws:iam::111122223333:user/ci/{name}");
    Spelt {
        asff: json!({ "Type": "AwsIamUser", "Id": arn, "Details": { "AwsIamUser": { "UserId": id } } }),
        ocsf: json!({ "type": "AWS::IAM::User", "uid": arn, "data": { "user_id": id } }),
        actor: json!({ "user": { "type": "IAMUser", "name": name, "uid": id } }),
    }
}

fn role_by_arn(name: &str, id: Option<&str>) -> Spelt {
    let arn = format!("arn:aws:iam::111122223333:role/people/{name}");
    Spelt {
        asff: json!({ "Type": "AwsIamRole", "Id": arn, "Details": { "AwsIamRole": { "RoleId": id } } }),
        ocsf: json!({ "type": "AWS::IAM::Role", "uid": arn, "data": { "role_id": id } }),
        actor: json!({ "user": { "type": "Role", "name": name, "uid": id } }),
    }
}

fn session_of(name: &str, role_id: &str, of: &str) -> Spelt {
    by_key("AssumedRole", name, Some(&format!("{role_id}:{of}")), Some("ASIADEVELOPEREXAMPLE"))
}

/// The mentions as `feed` spells them.
fn spelt(feed: Feed, mentions: &[Spelt]) -> Vec<Value> {
    let spelling: fn(&Spelt) -> &Value = if std::ptr::fn_addr_eq(feed, imported as Feed) {
        |mention| &mention.asff
    } else if std::ptr::fn_addr_eq(feed, imported_v2 as Feed) {
        |mention| &mention.ocsf
    } else {
        |mention| &mention.actor
    };
    mentions.iter().map(|mention| spelling(mention).clone()).collect()
}

fn in_every_order(mut mentions: Vec<Value>, check: &mut impl FnMut(&[Value])) {
    fn permute(mentions: &mut Vec<Value>, from: usize, check: &mut impl FnMut(&[Value])) {
        if from == mentions.len() {
            return check(mentions);
        }
        for at in from..mentions.len() {
            mentions.swap(from, at);
            permute(mentions, from + 1, check);
            mentions.swap(from, at);
        }
    }
    permute(&mut mentions, 0, check);
}

#[rstest]
#[case::imported(imported)]
#[case::imported_v2(imported_v2)]
#[case::attack_sequence(sequence)]
fn a_user_and_its_key_are_one_target_with_id_and_key(#[case] feed: Feed) {
    let mentions = [
        by_key("IAMUser", "svc-build", Some(USER_ID), Some(FIRST_KEY)),
        user_by_arn("svc-build", None),
        user_by_arn("svc-build", Some(USER_ID)),
    ];
    in_every_order(spelt(feed, &mentions), &mut |mentions| assert_eq!(feed(mentions).targets, [accused_user()], "{mentions:#?}"));
}

#[rstest]
#[case::imported(imported)]
#[case::imported_v2(imported_v2)]
#[case::attack_sequence(sequence)]
fn a_bare_role_beside_one_of_its_sessions_does_not_widen_to_the_whole_role(#[case] feed: Feed) {
    let Target::RoleSession(role) = accused_role(Some("someone"), None) else { unreachable!("a role") };
    let expected = Target::RoleSession(RoleSession { key: Some(key("ASIADEVELOPEREXAMPLE")), ..role });
    let mentions =
        [session_of("developer", ROLE_ID, "someone"), role_by_arn("developer", None), role_by_arn("developer", Some(ROLE_ID))];
    in_every_order(spelt(feed, &mentions), &mut |mentions| {
        assert_eq!(feed(mentions).targets, std::slice::from_ref(&expected), "{mentions:#?}");
    });
}

#[rstest]
#[case::imported(imported)]
#[case::imported_v2(imported_v2)]
fn two_sessions_of_a_role_stay_two_with_or_without_the_role_beside_them(#[case] feed: Feed) {
    let mentions = [
        session_of("developer", ROLE_ID, "someone"),
        session_of("developer", ROLE_ID, "someone-else"),
        role_by_arn("developer", Some(ROLE_ID)),
    ];
    in_every_order(spelt(feed, &mentions), &mut |mentions| {
        let sessions: BTreeSet<_> = feed(mentions)
            .targets
            .into_iter()
            .map(|target| match target {
                Target::RoleSession(RoleSession { session, .. }) => session.map(|session| session.to_string()),
                other => unreachable!("{other:?}"),
            })
            .collect();
        assert_eq!(sessions, BTreeSet::from([Some("someone".to_owned()), Some("someone-else".to_owned())]));
    });
}

#[rstest]
#[case::two_users(vec![user_by_arn("svc-build", Some(USER_ID)), user_by_arn("svc-deploy", None)])]
#[case::one_name_two_ids(vec![
    user_by_arn("svc-build", Some(USER_ID)), user_by_arn("svc-build", Some("AIDANEWSVCETLQEXAMPLE")),
])]
#[case::a_user_and_a_role_of_one_name(vec![user_by_arn("developer", None), role_by_arn("developer", None)])]
#[case::two_roles(vec![
    role_by_arn("developer", Some(ROLE_ID)), role_by_arn("developer", Some(OTHER_ROLE_ID)),
])]
fn two_principals_are_never_made_one(#[case] mentions: Vec<Spelt>) {
    for feed in [imported as Feed, imported_v2 as Feed] {
        assert_eq!(feed(&spelt(feed, &mentions)).targets.len(), 2);
    }
    let several = sequence(&spelt(sequence, &mentions)).targets;
    assert!(
        matches!(&several[..], [Target::Elsewhere(elsewhere)] if elsewhere.sort == ElsewhereSort::SeveralActors),
        "{several:?}"
    );
}

#[test]
fn one_actor_with_two_keys_is_one_actor() {
    let mentions = [FIRST_KEY, SECOND_KEY].map(|key| by_key("IAMUser", "svc-build", Some(USER_ID), Some(key)));
    let targets = sequence(&spelt(sequence, &mentions)).targets;
    assert!(
        matches!(&targets[..], [Target::User(User { name: accused, unique_id: Some(id), .. })]
            if *accused == name("svc-build") && *id == unique_id(USER_ID)),
        "{targets:?}"
    );
}

/// A mention of one of a few principals, more or less precise.
fn mention() -> impl Strategy<Value = usize> {
    0..mentions().len()
}

/// Each principal has one key: which of two keys is named decides nothing and is left to the order.
fn mentions() -> Vec<Spelt> {
    let other = "AIDANEWSVCETLQEXAMPLE";
    vec![
        by_key("IAMUser", "svc-build", Some(USER_ID), Some(FIRST_KEY)),
        by_key("IAMUser", "svc-build", Some(USER_ID), None),
        by_key("IAMUser", "svc-build", Some(other), Some(SECOND_KEY)),
        user_by_arn("svc-build", None),
        user_by_arn("svc-deploy", None),
        session_of("developer", ROLE_ID, "someone"),
        session_of("developer", ROLE_ID, "someone-else"),
        session_of("developer", OTHER_ROLE_ID, "someone"),
        by_key("AssumedRole", "developer", Some(&format!("{ROLE_ID}:someone")), None),
        role_by_arn("developer", Some(ROLE_ID)),
        role_by_arn("developer", None),
        role_by_arn("operator", None),
        by_key("Root", "Root", Some("111122223333"), None),
        by_key("SAMLUser", "m.rossi", None, None),
        by_key("AWSService", "cloudtrail", None, None),
    ]
}

/// Targets as a set: the order in which a finding names them is not what decides.
fn as_set(targets: &[Target]) -> BTreeSet<String> {
    let text = |target: &Target| serde_json::to_string(target).expect("JSON");
    assert_eq!(targets.iter().map(text).collect::<BTreeSet<_>>().len(), targets.len(), "a target stands twice: {targets:?}");
    targets.iter().map(text).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_order_of_the_resources_decides_nothing(
        (given, shuffled) in prop::collection::vec(mention(), 1..7).prop_flat_map(|given| (Just(given.clone()), Just(given).prop_shuffle())),
    ) {
        let all = mentions();
        for feed in [imported as Feed, imported_v2 as Feed, sequence as Feed] {
            let spelt = spelt(feed, &all);
            let targets = |order: &[usize]| {
                let chosen: Vec<_> = order.iter().map(|at| spelt[*at].clone()).collect();
                feed(&chosen).targets
            };
            prop_assert_eq!(as_set(&targets(&given)), as_set(&targets(&shuffled)));
        }
    }

    #[test]
    fn no_mention_of_a_session_ever_becomes_the_whole_role(given in prop::collection::vec(mention(), 1..7)) {
        let all = mentions();
        let chosen: Vec<_> = given.iter().map(|at| spelt(imported, &all)[*at].clone()).collect();
        let named = |of: &str| chosen.iter().any(|mention| mention.to_string().contains(&format!("{ROLE_ID}:{of}\"")));
        let targets = imported(&chosen).targets;
        for of in ["someone", "someone-else"] {
            let kept = targets.iter().any(|target| {
                matches!(target, Target::RoleSession(kept)
                    if kept.session == Some(session(of)) && kept.role_id == Some(unique_id(ROLE_ID)))
            });
            prop_assert_eq!(kept, named(of), "{}: {:?}", of, targets);
        }
        let whole = targets.iter().any(|target| {
            matches!(target, Target::RoleSession(kept) if kept.role_id == Some(unique_id(ROLE_ID)) && kept.session.is_none())
        });
        prop_assert!(!(whole && (named("someone") || named("someone-else"))), "{targets:?}");
    }
}
