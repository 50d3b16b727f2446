//! Whose click is followed: our own three buttons, of the account and Region of the stack.

use rstest::rstest;
use tourniquet::containment::refused_click;
use tourniquet::event::IgnoredReason;
use tourniquet::finding::{Button, Trigger};
use tourniquet::id::{Arn, Region};

use crate::support::account;

const CONTAINS: [Button; 2] = [Button::Contain, Button::Propose];

fn refused(action: &str, buttons: &[Button]) -> Option<IgnoredReason> {
    let region = Region::parse("eu-west-1").expect("a Region");
    let trigger = Trigger::Button { action: action.to_owned() };
    refused_click(&trigger, buttons, &account(), &region).map(|ignored| ignored.reason)
}

#[rstest]
#[case::contain("arn:aws:securityhub:eu-west-1:111122223333:action/custom/TourniquetContain", None)]
#[case::propose("arn:aws:securityhub:eu-west-1:111122223333:action/custom/TourniquetPropose", None)]
#[case::release(
    "arn:aws:securityhub:eu-west-1:111122223333:action/custom/TourniquetRelease",
    Some(IgnoredReason::NotForThisFunction)
)]
#[case::another_action("arn:aws:securityhub:eu-west-1:111122223333:action/custom/Contain", Some(IgnoredReason::NotOurButton))]
#[case::a_longer_name(
    "arn:aws:securityhub:eu-west-1:111122223333:action/custom/TourniquetContain2",
    Some(IgnoredReason::NotOurButton)
)]
#[case::another_case(
    "arn:aws:securityhub:eu-west-1:111122223333:action/custom/tourniquetcontain",
    Some(IgnoredReason::NotOurButton)
)]
#[case::another_account(
    "arn:aws:securityhub:eu-west-1:444455556666:action/custom/TourniquetContain",
    Some(IgnoredReason::NotOurButton)
)]
#[case::another_region(
    "arn:aws:securityhub:us-east-1:111122223333:action/custom/TourniquetContain",
    Some(IgnoredReason::NotOurButton)
)]
#[case::another_partition(
    "arn:aws-cn:securityhub:eu-west-1:111122223333:action/custom/TourniquetContain",
    Some(IgnoredReason::NotOurButton)
)]
#[case::another_service(
    "arn:aws:events:eu-west-1:111122223333:action/custom/TourniquetContain",
    Some(IgnoredReason::NotOurButton)
)]
#[case::a_release_elsewhere(
    "arn:aws:securityhub:eu-west-1:444455556666:action/custom/TourniquetRelease",
    Some(IgnoredReason::NotOurButton)
)]
#[case::no_arn("TourniquetContain", Some(IgnoredReason::NotOurButton))]
#[case::nothing("", Some(IgnoredReason::NotOurButton))]
fn a_function_that_contains_follows_two_buttons(#[case] action: &str, #[case] expected: Option<IgnoredReason>) {
    assert_eq!(refused(action, &CONTAINS), expected);
}

#[test]
fn each_function_has_its_own_buttons() {
    for button in Button::ALL {
        let action = button.action(&account(), &Region::parse("eu-west-1").expect("a Region"));
        let expected = (button != Button::Release).then_some(IgnoredReason::NotForThisFunction);
        assert_eq!(refused(&action, &[Button::Release]), expected);
    }
}

#[test]
fn an_event_of_a_detector_is_nobodys_click() {
    let region = Region::parse("eu-west-1").expect("a Region");
    assert_eq!(refused_click(&Trigger::Event, &[], &account(), &region), None);
}

#[test]
fn a_button_is_what_security_hub_takes_and_is_read_back_from_its_arn() {
    for button in Button::ALL {
        assert!(button.id().len() <= 20 && button.id().bytes().all(|byte| byte.is_ascii_alphanumeric()), "{button:?}");
        assert!((1..=20).contains(&button.name().len()), "{button:?}");
        for region in ["eu-west-1", "cn-north-1", "us-gov-west-1"] {
            let action = button.action(&account(), &Region::parse(region).expect("a Region"));
            assert_eq!(Button::of(&Arn::parse(&action).expect("an ARN")), Some(button));
        }
    }
}
