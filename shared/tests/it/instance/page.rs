//! The case report of an isolated instance.

use tourniquet::case::CaseId;
use tourniquet::outcome::{Outcome, Status, StepReport};
use tourniquet::report::answer::TargetResult;
use tourniquet::report::page::Chain;

use super::support::{accused, decided, finding, instance, observed};
use crate::page::Ledger;

#[test]
fn an_isolated_instance_is_told_on_one_page() {
    let decision = decided(&observed(instance()));
    let case = CaseId::of(&finding(), &decision.target.key(&finding().id));
    let mut result = TargetResult::without_steps(case, &decision, Outcome::Contained);
    let report = |step: &tourniquet::step::Step| StepReport {
        step: step.name().to_owned(),
        on: step.on(),
        status: Status::Done,
        started_ms: 70,
        took_ms: 30,
        request_ids: Vec::new(),
    };
    result.steps = decision.plan.steps().map(report).collect();
    let page = Ledger::new(&finding(), &accused(), &decision, &decision.plan, &result).page(Chain::NotChecked).expect("a page");
    insta::assert_snapshot!("page_isolated_instance", page.split_once("</head>").expect("a head").1);
}
