//! Which verdict for which target in which state.

use rstest::rstest;
use tourniquet::containment::identity::{Observed, ObservedRole, ObservedUser, Principal, decide};
use tourniquet::containment::{CannotContain, Decision, MEMBER_DENY_GROUP, Member, Responder, Verdict};
use tourniquet::finding::{Button, Elsewhere, ElsewhereSort, Finding, RoleSession, Target, Trigger, User};
use tourniquet::guardrails::{Guardrails, Mode};
use tourniquet::id::{AccountId, Region};

use crate::support::{
    FIRST_KEY, ROLE_ID, SECOND_KEY, USER_ID, accused_role, accused_user, arn, finding, key, now, observed, observed_role,
    observed_user, responder, role, shipped_text, unique_id, user,
};

fn confirmed() -> Finding {
    finding("leaked-access-key")
}

fn decided(target: &Target, observed: &Observed) -> Decision {
    decide(&confirmed(), target, observed, &responder(), now())
}

fn cannot(target: &Target, observed: &Observed) -> Option<CannotContain> {
    let decision = decided(target, observed);
    assert!(decision.plan.is_empty() && decision.ruling.is_none());
    match decision.verdict {
        Verdict::CannotContain(reason) => {
            assert_eq!(decision.next_steps, [reason.next_step()], "a person is told what to do instead");
            Some(reason)
        }
        _ => None,
    }
}

fn user_named(unique: Option<&str>, by_key: Option<&str>) -> Target {
    let Target::User(user) = accused_user() else { unreachable!("a user") };
    Target::User(User { unique_id: unique.map(unique_id), key: by_key.map(key), ..user })
}

fn role_named(role_id: Option<&str>) -> Target {
    let Target::RoleSession(role) = accused_role(Some("someone"), None) else { unreachable!("a role") };
    Target::RoleSession(RoleSession { role_id: role_id.map(unique_id), ..role })
}

fn role_at(path: &str) -> ObservedRole {
    ObservedRole { arn: arn(&format!("arn:aws:iam::111122223333:role/{path}developer")), ..role() }
}

#[rstest]
#[case::by_id(user_named(Some(USER_ID), None))]
#[case::by_id_and_an_unknown_key(user_named(Some(USER_ID), Some("ASIASVCBUILDQEXAMPLE")))]
#[case::by_its_own_key_alone(user_named(None, Some(FIRST_KEY)))]
#[case::by_its_own_inactive_key_alone(user_named(None, Some(SECOND_KEY)))]
fn a_user_that_is_the_accused_is_contained(#[case] target: Target) {
    assert_eq!(decided(&target, &observed_user(user())).verdict, Verdict::Contain);
}

#[rstest]
#[case::a_session(accused_role(Some("someone"), None))]
#[case::the_role(accused_role(None, None))]
fn a_role_that_is_the_accused_is_contained(#[case] target: Target) {
    assert_eq!(decided(&target, &observed_role(role())).verdict, Verdict::Contain);
}

#[rstest]
#[case::another_id(user_named(Some("AIDAANOTHERUSEREXAMPL"), Some(FIRST_KEY)), CannotContain::UniqueIdMismatch)]
#[case::no_id_no_key(user_named(None, None), CannotContain::UniqueIdMissing)]
#[case::no_id_another_s_key(user_named(None, Some("AKIAANOTHERUSEREXAMP")), CannotContain::UniqueIdMissing)]
#[case::no_id_a_temporary_key(user_named(None, Some("ASIASVCBUILDQEXAMPLE")), CannotContain::UniqueIdMissing)]
fn a_user_whose_identity_is_not_proved_is_left_alone(#[case] target: Target, #[case] reason: CannotContain) {
    assert_eq!(cannot(&target, &observed_user(user())), Some(reason));
}

#[rstest]
#[case::another_id(role_named(Some("AROAANOTHERROLEEXAMPL")), role(), CannotContain::UniqueIdMismatch)]
#[case::no_id(role_named(None), role(), CannotContain::UniqueIdMissing)]
#[case::service_linked(
    role_named(Some(ROLE_ID)),
    role_at("aws-service-role/autoscaling.amazonaws.com/"),
    CannotContain::ServiceLinkedRole
)]
#[case::identity_center(
    role_named(Some(ROLE_ID)),
    role_at("aws-reserved/sso.amazonaws.com/eu-west-1/"),
    CannotContain::IdentityCenterRole
)]
fn a_role_that_is_not_ours_to_change_is_left_alone(
    #[case] target: Target,
    #[case] role: ObservedRole,
    #[case] reason: CannotContain,
) {
    assert_eq!(cannot(&target, &observed_role(role)), Some(reason));
}

#[test]
fn a_role_that_only_calls_itself_service_linked_is_contained() {
    // Only AWS makes roles under the path; anyone can begin a name so.
    let mimic = ObservedRole { arn: arn("arn:aws:iam::111122223333:role/AWSServiceRoleForAutoScaling"), ..role() };
    assert_eq!(decided(&role_named(Some(ROLE_ID)), &observed_role(mimic)).verdict, Verdict::Contain);
}

#[rstest]
#[case::user(accused_user(), Principal::Absent)]
#[case::role(accused_role(None, None), Principal::Absent)]
#[case::user_not_looked_at(accused_user(), Principal::NotLooked)]
#[case::user_found_as_role(accused_user(), Principal::Role(Box::new(role())))]
#[case::role_found_as_user(accused_role(None, None), Principal::User(Box::new(user())))]
fn a_principal_iam_does_not_know_cannot_be_contained(#[case] target: Target, #[case] principal: Principal) {
    assert_eq!(cannot(&target, &observed(principal)), Some(CannotContain::NoSuchPrincipal));
}

#[rstest]
#[case::nobody_s(Principal::Absent)]
#[case::not_looked_at(Principal::NotLooked)]
fn a_key_nobody_here_owns_cannot_be_contained_and_may_be_root_s(#[case] principal: Principal) {
    let target = Target::AccessKey { key: key(FIRST_KEY) };
    assert_eq!(cannot(&target, &observed(principal)), Some(CannotContain::KeyOwnerUnknown));
    assert!(CannotContain::KeyOwnerUnknown.next_step().contains("root user's access keys"));
}

#[rstest]
#[case(None)]
#[case(Some(FIRST_KEY))]
fn root_cannot_be_contained_by_iam_even_if_a_user_is_called_root(#[case] by_key: Option<&str>) {
    let target = Target::Root { key: by_key.map(key) };
    assert_eq!(cannot(&target, &observed(Principal::NotLooked)), Some(CannotContain::Root));
    assert_eq!(cannot(&target, &observed_user(user())), Some(CannotContain::Root));
}

#[test]
fn every_sort_of_principal_elsewhere_has_its_reason() {
    // Exhaustive: a new sort does not compile here until it has its line.
    let reason = |sort| match sort {
        ElsewhereSort::FederatedUser => CannotContain::FederatedUser,
        ElsewhereSort::SamlUser => CannotContain::SamlUser,
        ElsewhereSort::WebIdentityUser => CannotContain::WebIdentityUser,
        ElsewhereSort::ForeignAccount => CannotContain::ForeignAccount,
        ElsewhereSort::Anonymous => CannotContain::Anonymous,
        ElsewhereSort::AwsService => CannotContain::AwsService,
        ElsewhereSort::DirectoryUser => CannotContain::DirectoryUser,
        ElsewhereSort::UnknownType => CannotContain::UnknownUserType,
        ElsewhereSort::SeveralActors => CannotContain::SeveralActors,
        ElsewhereSort::Unnamed => CannotContain::UnnamedPrincipal,
    };
    let sorts = [
        ElsewhereSort::FederatedUser,
        ElsewhereSort::SamlUser,
        ElsewhereSort::WebIdentityUser,
        ElsewhereSort::ForeignAccount,
        ElsewhereSort::Anonymous,
        ElsewhereSort::AwsService,
        ElsewhereSort::DirectoryUser,
        ElsewhereSort::UnknownType,
        ElsewhereSort::SeveralActors,
        ElsewhereSort::Unnamed,
    ];
    for sort in sorts {
        // The label is an innocent user's name; it must lead nowhere.
        let target = Target::Elsewhere(Elsewhere { sort, label: "svc-build".to_owned(), key: None });
        assert_eq!(cannot(&target, &observed(Principal::NotLooked)), Some(reason(sort)));
        assert_eq!(cannot(&target, &observed_user(user())), Some(reason(sort)));
    }
}

#[rstest]
#[case::another_account("444455556666", "eu-west-1")]
#[case::another_partition("111122223333", "us-gov-west-1")]
#[case::china("111122223333", "cn-north-1")]
fn a_finding_outside_the_responder_s_account_and_partition_is_out_of_reach(#[case] account: &str, #[case] region: &str) {
    let finding = Finding {
        account: AccountId::parse(account).expect("an account"),
        region: Region::parse(region).expect("a Region"),
        ..confirmed()
    };
    // A user of the same name and even the same id exists here.
    let decision = decide(&finding, &accused_user(), &observed_user(user()), &responder(), now());
    assert_eq!(decision.verdict, Verdict::CannotContain(CannotContain::ForeignAccount));
    assert!(decision.plan.is_empty());
}

#[test]
fn a_member_s_account_is_not_foreign_and_its_own_role_is_never_contained() {
    let member = Member { account: AccountId::parse("444455556666").expect("an account"), role: arn(MEMBERS_ROLE) };
    let responder = Responder { members: vec![member.clone()], ..responder() };
    let theirs = |region: &str| Finding {
        account: member.account.clone(),
        region: Region::parse(region).expect("a Region"),
        ..confirmed()
    };
    let decided =
        |finding: &Finding, observed: &Observed| decide(finding, &role_named(Some(ROLE_ID)), observed, &responder, now());
    let other = ObservedRole { arn: arn("arn:aws:iam::444455556666:role/developer"), ..role() };
    assert_eq!(decided(&theirs("eu-west-1"), &observed_role(other.clone())).verdict, Verdict::Contain);
    let reason = Verdict::CannotContain(CannotContain::ForeignAccount);
    assert_eq!(decided(&theirs("cn-north-1"), &observed_role(other)).verdict, reason);
    let own = ObservedRole { arn: arn(MEMBERS_ROLE), ..role() };
    let decision = decided(&theirs("eu-west-1"), &observed_role(own));
    assert!(matches!(&decision.verdict, Verdict::Skip(reason) if reason.contains("never contains itself")));
    let stranger = AccountId::parse("777788889999").expect("an account");
    let groups = [&responder.account, &member.account, &stranger].map(|account| responder.deny_group(account));
    assert_eq!(groups, [Some("TourniquetDenied"), Some(MEMBER_DENY_GROUP), None]);
}

const MEMBERS_ROLE: &str = "arn:aws:iam::444455556666:role/tourniquet/responder";

fn protecting(line: &str) -> Guardrails {
    let text = format!("{}\n[[protect]]\n{line}\nbecause = \"the way back in\"\n", shipped_text());
    Guardrails::parse("guardrails.toml", &text).expect("guardrails")
}

#[rstest]
#[case::by_arn("arn = \"arn:aws:iam::111122223333:user/ci/svc-build\"", true)]
#[case::by_unique_id("unique_id = \"AIDASVCBUILDQ7EXAMPLE\"", true)]
#[case::by_account("account = \"111122223333\"", true)]
#[case::another_path("arn = \"arn:aws:iam::111122223333:user/svc-build\"", false)]
#[case::another_id("unique_id = \"AIDAANOTHERUSEREXAMPL\"", false)]
#[case::another_account("account = \"444455556666\"", false)]
fn a_protected_principal_is_skipped(#[case] line: &str, #[case] is_protected: bool) {
    for trigger in [Trigger::Event, crate::support::pressed(Button::Contain)] {
        let finding = Finding { trigger, ..confirmed() };
        let observed = Observed { guardrails: Ok(protecting(line)), ..observed_user(user()) };
        let decision = decide(&finding, &accused_user(), &observed, &responder(), now());
        let skipped = decision.verdict == Verdict::Skip("protected: the way back in".to_owned());
        assert_eq!(skipped, is_protected);
        assert_eq!(decision.plan.is_empty(), is_protected);
    }
}

#[test]
fn a_user_found_by_its_key_alone_is_protected_too() {
    let observed = Observed { guardrails: Ok(protecting("unique_id = \"AIDASVCBUILDQ7EXAMPLE\"")), ..observed_user(user()) };
    let decision = decided(&user_named(None, Some(FIRST_KEY)), &observed);
    assert_eq!(decision.verdict, Verdict::Skip("protected: the way back in".to_owned()));
}

#[rstest]
#[case::readable(true)]
#[case::unreadable(false)]
fn the_responder_never_contains_itself(#[case] readable: bool) {
    let own = ObservedRole { arn: arn("arn:aws:iam::111122223333:role/contain-identity-role"), ..role() };
    let mut observed = observed_role(own);
    if !readable {
        observed.guardrails = Err("no such object".to_owned());
    }
    for target in [accused_role(None, None), accused_role(Some("contain-identity"), None)] {
        let decision = decided(&target, &observed);
        assert!(matches!(&decision.verdict, Verdict::Skip(reason) if reason.contains("never contains itself")));
        assert!(decision.plan.is_empty());
    }
}

#[test]
fn without_guardrails_a_plan_is_proposed_and_never_carried_out() {
    for trigger in [Trigger::Event, crate::support::pressed(Button::Contain)] {
        let finding = Finding { trigger, ..confirmed() };
        let observed = Observed { guardrails: Err("guardrails.toml:3: unknown key".to_owned()), ..observed_user(user()) };
        let decision = decide(&finding, &accused_user(), &observed, &responder(), now());
        assert_eq!(
            decision.verdict,
            Verdict::Propose("the guardrails could not be read: guardrails.toml:3: unknown key".to_owned())
        );
        assert!(!decision.plan.is_empty() && decision.ruling.is_none());
    }
}

fn pressed(observed: &Observed) -> Decision {
    decide(&finding("custom-action-user"), &accused_user(), observed, &responder(), now())
}

#[test]
fn a_person_s_click_contains_what_a_rule_would_only_propose() {
    let event = decide(&finding("anomalous-behaviour-user"), &accused_user(), &observed_user(user()), &responder(), now());
    assert!(matches!(event.verdict, Verdict::Propose(_)));
    let click = pressed(&observed_user(user()));
    assert_eq!(click.verdict, Verdict::Contain);
    assert_eq!(click.ruling.map(|ruling| ruling.rule).as_deref(), Some("a person pressed Contain"));
    assert_eq!(click.plan, event.plan, "the click carries out what was proposed");
}

#[rstest]
#[case(Mode::Observe, "mode = \"observe\" caps the button")]
#[case(Mode::Propose, "mode = \"propose\" caps the button")]
fn a_click_stays_under_the_ceiling(#[case] ceiling: Mode, #[case] rule: &str) {
    let text = shipped_text().replacen("mode = \"contain\"", &format!("mode = \"{}\"", ceiling.as_str()), 1);
    let guardrails = Guardrails::parse("guardrails.toml", &text).expect("guardrails");
    let decision = pressed(&Observed { guardrails: Ok(guardrails), ..observed_user(user()) });
    assert_ne!(decision.verdict, Verdict::Contain);
    assert_eq!(decision.ruling.map(|ruling| (ruling.mode, ruling.rule)), Some((ceiling, rule.to_owned())));
}

#[rstest]
#[case::propose(Button::Propose, "contain", Mode::Propose, "a person pressed Propose")]
#[case::propose_under_a_lower_ceiling(Button::Propose, "observe", Mode::Observe, "mode = \"observe\" caps the button")]
#[case::release(Button::Release, "contain", Mode::Observe, "a person pressed a button that contains nothing")]
fn no_button_but_contain_contains(#[case] button: Button, #[case] ceiling: &str, #[case] mode: Mode, #[case] rule: &str) {
    let text = shipped_text().replacen("mode = \"contain\"", &format!("mode = \"{ceiling}\""), 1);
    let guardrails = Guardrails::parse("guardrails.toml", &text).expect("guardrails");
    let observed = Observed { guardrails: Ok(guardrails), ..observed_user(user()) };
    // A rule contains it.
    let event = decide(&confirmed(), &accused_user(), &observed, &responder(), now());
    assert_eq!(event.verdict == Verdict::Contain, ceiling == "contain");
    let clicked = Finding { trigger: crate::support::pressed(button), ..confirmed() };
    let decision = decide(&clicked, &accused_user(), &observed, &responder(), now());
    let expected = if mode == Mode::Propose { Verdict::Propose(rule.to_owned()) } else { Verdict::Observe };
    assert_eq!(decision.verdict, expected);
    assert_eq!(decision.ruling.map(|ruling| (ruling.mode, ruling.rule)), Some((mode, rule.to_owned())));
}

#[test]
fn an_action_of_another_name_contains_nothing() {
    let action = "arn:aws:securityhub:eu-west-1:111122223333:action/custom/Contain".to_owned();
    let clicked = Finding { trigger: Trigger::Button { action }, ..confirmed() };
    let decision = decide(&clicked, &accused_user(), &observed_user(user()), &responder(), now());
    assert_eq!(decision.verdict, Verdict::Observe);
}

#[test]
fn the_rules_match_on_what_aws_says_not_on_what_the_finding_says() {
    let text = shipped_text().replacen(
        "[[rule]]",
        "[[environment]]\nname = \"production\"\ntag = { key = \"env\", value = \"production\", protected_by_scp = true }\n\n\
         [[rule]]\nname = \"production-asks\"\nenvironments = [\"production\"]\nmode = \"propose\"\n\n[[rule]]",
        1,
    );
    let guardrails = || Guardrails::parse("guardrails.toml", &text).expect("guardrails");
    let tagged = ObservedUser { tags: [("env".to_owned(), "production".to_owned())].into(), ..user() };
    let verdict = |user| decided(&accused_user(), &Observed { guardrails: Ok(guardrails()), ..observed_user(user) }).verdict;
    assert_eq!(verdict(user()), Verdict::Contain);
    assert!(matches!(verdict(tagged), Verdict::Propose(reason) if reason.contains("production-asks")));
}

#[test]
fn an_account_that_cannot_be_entered_is_told_as_such() {
    let unreachable = || Principal::Unreachable { reason: "AccessDenied: not authorized to perform: sts:AssumeRole".to_owned() };
    for target in [accused_user(), accused_role(Some("someone"), None), Target::Root { key: None }] {
        let decision = decide(&finding("leaked-access-key"), &target, &observed(unreachable()), &responder(), now());
        assert_eq!(decision.verdict, Verdict::CannotContain(CannotContain::NoAccess));
        assert!(decision.plan.is_empty() && decision.ruling.is_none());
        assert_eq!(decision.next_steps, [CannotContain::NoAccess.next_step()]);
    }
}

#[test]
fn the_ways_of_the_organization_into_an_account_are_never_touched() {
    for name in ["OrganizationAccountAccessRole", "AWSControlTowerExecution", "stacksets-exec-0123456789abcdef"] {
        let role = ObservedRole { arn: arn(&format!("arn:aws:iam::111122223333:role/{name}")), ..role() };
        let decision = decided(&accused_role(None, None), &observed_role(role));
        assert!(matches!(&decision.verdict, Verdict::Skip(reason) if reason.contains("organization")), "{name}: {decision:?}");
        assert!(decision.plan.is_empty());
    }
}
