//! The whole decision, where it matters most: what would be done, to whom, and what people are told beside it.

use rstest::rstest;
use tourniquet::containment::Decision;
use tourniquet::containment::identity::{ATTACHED_POLICIES, Observed, ObservedRole, ObservedUser, decide};
use tourniquet::finding::{Finding, RoleSession, Target, User};
use tourniquet::policy;
use tourniquet::step::{DenySession, Step};
use tourniquet::timestamp::Timestamp;

use crate::support::{
    INSTANCE, accused_role, accused_user, arn, at, finding, key, name, now, observed_role, observed_user, responder, role,
    session, unique_id, user,
};

fn decided(finding: &Finding, target: &Target, observed: &Observed) -> Decision {
    decide(finding, target, observed, &responder(), now())
}

/// Snapshots a decision; the line of the rule that ruled moves with every edit of the shipped file.
fn assert_decision(name: &str, decision: &Decision) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\(line \d+\)", "(line N)");
    settings.bind(|| insta::assert_json_snapshot!(name, decision));
}

#[test]
fn a_user_loses_every_credential_it_has() {
    let decision = decided(&finding("leaked-access-key"), &accused_user(), &observed_user(user()));
    assert_decision("user", &decision);
}

#[test]
fn a_user_that_aws_has_quarantined_keeps_aws_s_policy_and_is_denied_all_the_same() {
    for version in ["", "V2", "V3", "V4"] {
        let mut quarantined = user();
        quarantined.attached_policies.push(arn(&format!("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine{version}")));
        let decision = decided(&finding("leaked-access-key"), &accused_user(), &observed_user(quarantined));
        let names: Vec<_> = decision.plan.steps().map(Step::name).collect();
        assert!(names.contains(&"deny_all") && !names.contains(&"attach_quarantine_marker"), "{names:?}");
        assert!(decision.next_steps.iter().any(|step| step.contains("AWS Support case")), "{:?}", decision.next_steps);
    }
}

#[test]
fn a_user_whose_policies_could_not_be_seen_is_not_marked_beside_a_mark_of_aws_s() {
    let names = |unread: &str| {
        let user = ObservedUser { unread: vec![format!("{unread}: AccessDenied: not authorized")], ..user() };
        let plan = decided(&finding("leaked-access-key"), &accused_user(), &observed_user(user)).plan;
        plan.steps().map(Step::name).collect::<Vec<_>>()
    };
    assert!(!names(ATTACHED_POLICIES).contains(&"attach_quarantine_marker") && names(ATTACHED_POLICIES).contains(&"deny_all"));
    assert!(names("console password").contains(&"attach_quarantine_marker"));
}

#[test]
fn a_policy_of_ours_that_is_only_called_like_aws_s_is_no_quarantine() {
    let mut mimicked = user();
    mimicked.attached_policies.push(arn("arn:aws:iam::111122223333:policy/AWSCompromisedKeyQuarantineV3"));
    let decision = decided(&finding("leaked-access-key"), &accused_user(), &observed_user(mimicked));
    assert!(decision.plan.steps().any(|step| step.name() == "attach_quarantine_marker"));
}

#[test]
fn a_session_key_of_a_user_leads_to_the_user_s_whole_plan() {
    let Target::User(accused) = accused_user() else { unreachable!("a user") };
    let by_session = Target::User(User { key: Some(key("ASIASVCBUILDQEXAMPLE")), ..accused });
    let plan = |target| decided(&finding("user-session-token"), target, &observed_user(user())).plan;
    assert_eq!(plan(&by_session), plan(&accused_user()));
}

#[test]
fn a_user_with_nothing_is_denied_and_marked() {
    let bare = ObservedUser {
        keys: Vec::new(),
        login: None,
        service_credentials: Vec::new(),
        ssh_keys: Vec::new(),
        certificates: Vec::new(),
        mfa_devices: Vec::new(),
        ..user()
    };
    let decision = decided(&finding("leaked-access-key"), &accused_user(), &observed_user(bare));
    assert_eq!(decision.plan.steps().map(Step::name).collect::<Vec<_>>(), ["deny_all", "attach_quarantine_marker"]);
}

#[test]
fn what_could_not_be_read_is_said_and_the_rest_is_planned() {
    let unread = vec!["console password: AccessDenied".to_owned()];
    let decision = decided(
        &finding("leaked-access-key"),
        &accused_user(),
        &observed_user(ObservedUser { unread: unread.clone(), ..user() }),
    );
    assert_eq!(decision.unread, unread);
    assert!(!decision.plan.cut.is_empty());
    let role = observed_role(ObservedRole { unread: unread.clone(), ..role() });
    assert_eq!(decided(&finding("role-session-named"), &accused_role(None, None), &role).unread, unread);
}

#[rstest]
#[case::edited(policy::deny_all().replace("Deny", "Allow"))]
#[case::narrowed(policy::deny_all().replace("\"Action\":\"*\"", "\"Action\":\"s3:*\""))]
#[case::reformatted(policy::deny_all().replace(':', ": "))]
fn a_deny_that_is_not_ours_byte_for_byte_is_written_again(#[case] document: String) {
    let edited = ObservedUser { deny: Some(document), ..user() };
    let decision = decided(&finding("leaked-access-key"), &accused_user(), &observed_user(edited));
    assert_eq!(decision.plan.cut.len(), 1);
}

#[test]
fn a_named_session_is_denied_and_no_other() {
    let decision =
        decided(&finding("role-session-named"), &accused_role(Some("m.rossi@example.com"), None), &observed_role(role()));
    assert_decision("session", &decision);
}

#[test]
fn an_instance_s_session_is_denied_by_name_and_by_instance() {
    let target = Target::RoleSession(RoleSession {
        role: name("app-server"),
        role_id: Some(unique_id("AROAAPPSERVERQEXAMPLE")),
        session: Some(session(INSTANCE)),
        instance: tourniquet::id::InstanceId::parse(INSTANCE).ok(),
        key: None,
    });
    let app_server = ObservedRole {
        name: name("app-server"),
        arn: arn("arn:aws:iam::111122223333:role/app-server"),
        unique_id: unique_id("AROAAPPSERVERQEXAMPLE"),
        ..role()
    };
    let decision = decided(&finding("instance-credentials-exfiltrated"), &target, &observed_role(app_server));
    let [cut] = &decision.plan.cut[..] else { unreachable!("one cut") };
    let Step::DenySession(step) = cut.step() else { unreachable!("a session's deny") };
    // CONTAINMENT B13, byte for byte.
    assert_eq!(
        step.document(),
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"IRDenyByUserId","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:userid":"AROAAPPSERVERQEXAMPLE:i-0a1b2c3d4e5f67890"}}},{"Sid":"IRDenyByInstanceArn","Effect":"Deny","Action":"*","Resource":"*","Condition":{"ArnEquals":{"ec2:SourceInstanceARN":"arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f67890"}}}]}"#
    );
    assert_decision("instance_session", &decision);
}

#[test]
fn a_session_only_named_like_an_instance_is_denied_by_name_alone() {
    let decision = decided(&finding("role-session-named"), &accused_role(Some(INSTANCE), None), &observed_role(role()));
    let [cut] = &decision.plan.cut[..] else { unreachable!("one cut") };
    assert!(matches!(cut.step(), Step::DenySession(DenySession { instance: None, .. })));
}

#[test]
fn a_role_without_a_session_loses_its_older_sessions() {
    let decision = decided(&finding("role-without-session"), &accused_role(None, None), &observed_role(role()));
    assert_decision("role", &decision);
}

fn cutoff(revocation: Option<String>) -> Timestamp {
    let observed = observed_role(ObservedRole { revocation, ..role() });
    let decision = decided(&finding("role-without-session"), &accused_role(None, None), &observed);
    let [cut] = &decision.plan.cut[..] else { unreachable!("one cut") };
    let Step::RevokeOlderSessions(step) = cut.step() else { unreachable!("a revocation") };
    step.cutoff
}

#[rstest]
#[case::none(None, "2026-11-21T20:48:30Z")]
#[case::an_earlier_one(Some("2026-11-21T19:00:00Z"), "2026-11-21T20:48:30Z")]
#[case::a_later_one(Some("2026-11-21T20:48:45Z"), "2026-11-21T20:48:45Z")]
#[case::the_latest_we_might_have_written(Some("2026-11-21T20:49:00Z"), "2026-11-21T20:49:00Z")]
#[case::further_than_we_write(Some("2026-11-21T20:49:01Z"), "2026-11-21T20:48:30Z")]
#[case::absurdly_far(Some("2099-01-01T00:00:00Z"), "2026-11-21T20:48:30Z")]
fn the_cut_off_reaches_past_now_and_never_goes_back(#[case] existing: Option<&str>, #[case] expected: &str) {
    assert_eq!(cutoff(existing.map(|text| policy::revoke_older_sessions(at(text)))), at(expected));
}

#[test]
fn the_cut_off_of_a_policy_somebody_edited_does_not_count() {
    let ours = policy::revoke_older_sessions(at("2026-11-21T20:48:45Z"));
    assert_eq!(cutoff(Some(ours.replace("Deny", "Allow"))), at("2026-11-21T20:48:30Z"));
    assert_eq!(cutoff(Some(ours.replace("\"Resource\":[\"*\"]", "\"Resource\":[]"))), at("2026-11-21T20:48:30Z"));
    assert_eq!(cutoff(Some("{}".to_owned())), at("2026-11-21T20:48:30Z"));
}

#[test]
fn what_users_of_a_role_are_called_is_made_printable() {
    let hostile = ObservedRole {
        trust_policy: r#"{"Statement":{"Principal":{"AWS":"arn:aws:iam::1:role/\u001b[2J\u202e"}}}"#.to_owned(),
        instance_profiles: vec!["profile\n\u{7}".to_owned()],
        ..role()
    };
    let decision = decided(&finding("role-without-session"), &accused_role(None, None), &observed_role(hostile));
    assert!(decision.blast_radius.iter().all(|line| crate::checks::text::is_printable(line)), "{:?}", decision.blast_radius);
    let unreadable = observed_role(ObservedRole { trust_policy: "no JSON".to_owned(), instance_profiles: Vec::new(), ..role() });
    let decision = decided(&finding("role-without-session"), &accused_role(None, None), &unreadable);
    assert!(decision.blast_radius[0].contains("its users could not be told from IAM"));
}
