//! The circuit breaker: what is contained without a person, and what is not any more.

use rstest::rstest;
use tourniquet::containment::budget::{Bound, Counted, Fleet, Unread, bound};
use tourniquet::guardrails::Budget;
use tourniquet::id::{AccountId, CaseId};

fn account(text: &str) -> AccountId {
    AccountId::parse(text).expect("an account")
}

#[expect(clippy::unnecessary_wraps, reason = "as the decision is given it")]
fn counted(here: usize, elsewhere: usize) -> Result<Counted, Unread> {
    let case = |number: usize| CaseId::parse(&format!("IR-20261121-{number:08x}")).expect("a case");
    let of = |number: usize| account(if number < here { "111122223333" } else { "444455556666" });
    Ok((0..here + elsewhere).map(|number| (case(number), of(number))).collect())
}

fn unread(passing: bool) -> Unread {
    Unread { reason: "AccessDenied: no".to_owned(), passing }
}

const BOTH: Budget = Budget { per_account: Some(2), total: Some(3), fleet_share: None };

#[rstest]
#[case::nothing_yet(0, 0, None)]
#[case::one_left(1, 1, None)]
#[case::of_the_account(2, 0, Some("account-111122223333"))]
#[case::far_past_it(20, 0, Some("total"))]
#[case::of_another_account(0, 2, None)]
#[case::of_all(0, 3, Some("total"))]
#[case::of_both(2, 1, Some("total"))]
fn a_budget_is_used_up_by_as_many_as_it_says(#[case] here: usize, #[case] elsewhere: usize, #[case] expected: Option<&str>) {
    let found = bound(&BOTH, &counted(here, elsewhere), &account("111122223333"), None);
    let used_up = found.map(|found| match found {
        Bound::UsedUp(used_up) => used_up,
        Bound::Unread(unread) => unreachable!("{unread:?}"),
    });
    assert_eq!(used_up.as_ref().map(|used_up| used_up.budget.as_str()), expected);
    if let Some(used_up) = used_up {
        assert!(used_up.reason.contains("is used up"), "{}", used_up.reason);
        let of = if expected == Some("total") { here + elsewhere } else { here };
        assert_eq!(used_up.cases.len(), of, "the cases that used it up are named");
    }
}

#[test]
fn what_is_not_given_is_not_bounded() {
    let here = account("111122223333");
    assert_eq!(bound(&Budget::default(), &counted(10_000, 10_000), &here, None), None);
    assert_eq!(bound(&Budget::default(), &Err(unread(true)), &here, Some(&fleet(Ok((4, 4))))), None);
    let total = Budget { total: Some(3), ..Budget::default() };
    assert_eq!(bound(&total, &counted(2, 0), &here, None), None);
}

#[rstest]
#[case(true)]
#[case(false)]
fn what_cannot_be_counted_is_not_contained(#[case] passing: bool) {
    let found = bound(&BOTH, &Err(unread(passing)), &account("111122223333"), None).expect("nothing is contained");
    let Bound::Unread(said) = &found else { unreachable!("{found:?}") };
    assert_eq!(said.passing, passing);
    assert_eq!(found.reason(), "what was contained in the last hour could not be read: AccessDenied: no");
}

fn fleet(size: Result<(usize, usize), Unread>) -> Fleet {
    Fleet { group: "web".to_owned(), size }
}

#[rstest]
#[case::one_always_may(0.01, 1, 0, false)]
#[case::of_two(0.34, 2, 0, false)]
#[case::a_second_of_two(0.34, 2, 1, true)]
#[case::of_nine(0.34, 9, 2, false)]
#[case::a_fourth_of_nine(0.34, 9, 3, true)]
#[case::half(0.5, 4, 1, false)]
#[case::more_than_half(0.5, 4, 2, true)]
#[case::all(1.0, 3, 2, false)]
#[case::nothing_is_left(1.0, 3, 3, true)]
#[case::an_empty_group(0.34, 0, 0, false)]
fn a_fleet_keeps_its_share(#[case] share: f64, #[case] size: usize, #[case] out: usize, #[case] bounded: bool) {
    let budget = Budget { fleet_share: Some(share), ..Budget::default() };
    let found = bound(&budget, &counted(0, 0), &account("111122223333"), Some(&fleet(Ok((size, out)))));
    assert_eq!(found.is_some(), bounded, "{found:?}");
    if let Some(found) = found {
        assert_eq!(
            found.reason(),
            format!(
                "the budget of Auto Scaling group web is used up: {out} of its {size} instances are on standby already \
                 (fleet_share = {share})"
            )
        );
    }
}

#[test]
fn a_fleet_that_cannot_be_read_is_left_to_a_person() {
    let budget = Budget { fleet_share: Some(0.34), ..Budget::default() };
    let here = account("111122223333");
    let found = bound(&budget, &counted(0, 0), &here, Some(&fleet(Err(unread(true)))));
    assert!(matches!(&found, Some(Bound::Unread(Unread { passing: true, .. }))), "{found:?}");
    assert_eq!(bound(&budget, &counted(0, 0), &here, None), None, "it is in no group");
}
