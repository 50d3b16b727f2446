//! What a release would do, as a table: each step as the target stands, and what is new on it.

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::containment::release::{Asked, Does, Picture, Present, SHOWN_FOR, Shown, Turn, picture, turn};
use tourniquet::plan::Plan;
use tourniquet::policy;

use crate::support::at;

const USER: &str = "svc-build";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

fn user() -> Value {
    json!({
        "kind": "user", "name": USER, "arn": "arn:aws:iam::111122223333:user/svc-build",
        "unique_id": "AIDAEXAMPLEIDEXAMPLE1", "tags": {}, "groups": ["builders"],
        "keys": [{ "id": KEY, "active": true, "created": "2026-01-01T00:00:00Z" }],
        "login": null,
        "service_credentials": [
            { "id": "ACCAOLD", "service": "bedrock.amazonaws.com", "active": true, "created": "2026-01-01T00:00:00Z" },
            { "id": "ACCANEW", "service": "bedrock.amazonaws.com", "active": true, "created": "2026-11-21T20:00:00Z" },
        ],
        "ssh_keys": [], "certificates": [], "mfa_devices": [], "attached_policies": [], "deny": null, "unread": [],
    })
}

/// The user as the containment left it.
fn held() -> Value {
    let mut held = user();
    held["deny"] = policy::deny_all().into();
    held["keys"][0]["active"] = false.into();
    held["service_credentials"][0]["active"] = false.into();
    held["service_credentials"][1]["active"] = false.into();
    held
}

fn plan() -> Plan {
    let step = |step: &str, more: Value| {
        let mut value = json!({ "step": step, "user": USER });
        value.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        value
    };
    serde_json::from_value(json!({
        "cut": [step("deny_all", json!({}))],
        "then": [{ "name": "credentials", "steps": [
            step("deactivate_key", json!({ "key": KEY })),
            step("deactivate_service_credential", json!({ "credential": "ACCAOLD", "service": "bedrock.amazonaws.com" })),
            step("deactivate_service_credential", json!({ "credential": "ACCANEW", "service": "bedrock.amazonaws.com" })),
        ] }],
    }))
    .expect("a plan")
}

fn pictured(now: &Value, asked: &Asked) -> Picture {
    let present = Present::Identity(serde_json::from_value(now.clone()).expect("a principal"));
    picture(&plan(), &user(), &present, at("2026-11-21T19:00:00Z"), asked)
}

fn asked(force: &[&str], reactivate: &[&str]) -> Asked {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Asked { force: owned(force), reactivate: owned(reactivate) }
}

/// What is done with each step, newest first.
fn words(picture: &Picture) -> Vec<&'static str> {
    let word = |does: &Does| match does {
        Does::Undo => "undo",
        Does::Force(_) => "force",
        Does::Already => "already",
        Does::Stay(_) => "stay",
        Does::Refuse(_) => "refuse",
    };
    picture.steps.iter().map(|undoing| word(&undoing.does)).collect()
}

#[test]
fn as_it_was_left_the_newest_goes_first_and_the_deny_last() {
    let found = pictured(&held(), &Asked::default());
    let steps: Vec<_> = found.steps.iter().map(|undoing| undoing.step.name()).collect();
    assert_eq!(steps, ["deactivate_service_credential", "deactivate_service_credential", "deactivate_key", "deny_all"]);
    // The newer credential is younger than the first sighting, and a key comes back by name alone.
    assert_eq!(words(&found), ["stay", "undo", "stay", "undo"]);
    assert!(found.since.is_empty() && found.refused.is_none());
}

#[test]
fn what_is_asked_for_by_name_comes_back() {
    let found = pictured(&held(), &asked(&[], &[KEY, "ACCANEW"]));
    assert_eq!(words(&found), ["undo", "undo", "undo", "undo"]);
    let refused = pictured(&held(), &asked(&[], &["AKIASOMEBODYELSES000"]));
    assert!(refused.refused.is_some_and(|reason| reason.contains("no credential that this case deactivated")));
    assert!(refused.steps.is_empty());
}

#[rstest]
#[case::key(|user: &mut Value| user["keys"].as_array_mut().expect("keys").push(json!({ "id": "AKIAI44QH8DHBEXAMPLE", "active": true, "created": null })), "was made since, and is active")]
#[case::reactivated(|user: &mut Value| user["keys"][0]["active"] = true.into(), "was activated again")]
#[case::password(|user: &mut Value| user["login"] = json!(["2026-11-22T00:00:00Z", false]), "a console password was set since")]
#[case::policy(|user: &mut Value| user["attached_policies"] = json!(["arn:aws:iam::aws:policy/AdministratorAccess"]), "was attached since")]
#[case::group(|user: &mut Value| user["groups"] = json!(["builders", "admins"]), "put into group admins since")]
#[case::boundary(|user: &mut Value| user["permissions_boundary"] = "arn:aws:iam::111122223333:policy/wide".into(), "permissions boundary is")]
#[case::device(|user: &mut Value| user["mfa_devices"] = json!([{ "serial": "arn:aws:iam::111122223333:mfa/x", "enabled": null }]), "was enabled since")]
fn what_is_new_keeps_the_deny_and_is_named(#[case] change: fn(&mut Value), #[case] reason: &str) {
    let mut now = held();
    change(&mut now);
    let found = pictured(&now, &Asked::default());
    assert!(found.since.iter().any(|new| new.contains(reason)), "{:?}", found.since);
    let (step, why) = found.refusals().next().expect("a refusal");
    assert!(step.name() == "deny_all" && why.contains(reason), "{why}");
    let forced = pictured(&now, &asked(&["deny_all"], &[]));
    assert_eq!(words(&forced).last(), Some(&"force"));
    // A word for another step forces nothing here.
    let other = pictured(&now, &asked(&["deny_all user/somebody"], &[]));
    assert_eq!(words(&other).last(), Some(&"refuse"));
}

#[test]
fn a_deny_that_was_edited_or_could_not_be_read_stays_and_one_that_is_gone_is_undone_already() {
    let deny = |deny: Value, unread: Value| {
        let mut now = held();
        (now["deny"], now["unread"]) = (deny, unread);
        words(&pictured(&now, &Asked::default())).pop().expect("the deny")
    };
    assert_eq!(deny("{}".into(), json!([])), "refuse");
    assert_eq!(deny(Value::Null, json!([])), "already");
    assert_eq!(deny(Value::Null, json!(["our own deny: AccessDenied: no"])), "refuse");
}

#[test]
fn another_principal_of_the_name_refuses_everything_and_a_deleted_one_leaves_nothing() {
    let mut now = held();
    now["unique_id"] = "AIDAEXAMPLEIDEXAMPLE2".into();
    let found = pictured(&now, &asked(&["deny_all"], &[]));
    assert!(found.refused.is_some_and(|reason| reason.contains("another principal now")) && found.steps.is_empty());
    let gone = pictured(&json!({ "kind": "absent" }), &Asked::default());
    assert_eq!(words(&gone), ["stay", "stay", "stay", "stay"]);
}

#[test]
fn the_second_word_does_what_the_first_has_shown_and_nothing_else() {
    let now = at("2026-11-21T20:00:00Z");
    let shown = Shown { digest: "a".to_owned(), at: now, request: "one".to_owned() };
    assert_eq!(turn(None, "one", "a", now), Turn::Show);
    assert_eq!(turn(Some(&shown), "one", "a", now), Turn::WasShown, "the same click again");
    assert_eq!(turn(Some(&shown), "two", "a", now.plus(SHOWN_FOR)), Turn::Do);
    assert_eq!(turn(Some(&shown), "two", "b", now), Turn::ShowAgain, "something changed");
    let late = now.plus(SHOWN_FOR).plus(std::time::Duration::from_secs(1));
    assert_eq!(turn(Some(&shown), "two", "a", late), Turn::ShowAgain, "too long ago");
    let held = pictured(&held(), &Asked::default());
    assert_ne!(held.digest(&Asked::default()), held.digest(&asked(&["deny_all"], &[])), "what is asked for is part of it");
}
