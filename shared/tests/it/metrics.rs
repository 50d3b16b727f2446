//! Metrics in CloudWatch's embedded metric format.

use serde_json::Value;
use tourniquet::outcome::Outcome;
use tourniquet::report::answer::Answer;
use tourniquet::report::metrics::metric_lines;
use tourniquet::report::timing::Timing;

use crate::report::{Story, contained_user};
use crate::support::at;

fn timed(outcome: Outcome) -> Story {
    let mut story = contained_user();
    story.result.outcome = outcome;
    story.result.timing = Some(Timing {
        finding_type: story.finding.finding_type.clone(),
        first_seen: at("2026-11-21T20:41:00Z"),
        fired: Some(at("2026-11-21T20:48:00Z")),
        received: at("2026-11-21T20:48:01.166Z"),
        cut: Some(at("2026-11-21T20:48:01.250Z")),
        verified: Some(at("2026-11-21T20:48:05.300Z")),
    });
    story
}

fn lines(story: &Story) -> Vec<Value> {
    let answer = Answer { finding: None, results: vec![story.result.clone()], ignored: Vec::new() };
    metric_lines(&answer).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_result_is_one_line_of_metrics() {
    insta::assert_snapshot!("metrics", serde_json::to_string_pretty(&lines(&timed(Outcome::Contained))).expect("JSON"));
}

#[test]
fn every_metric_that_is_declared_has_a_value_and_every_dimension_too() {
    let mut story = timed(Outcome::Contested("undone 3 times".to_owned()));
    story.result.timing.as_mut().expect("times").verified = None;
    let line = lines(&story).remove(0);
    let declared = line["_aws"]["CloudWatchMetrics"].as_array().expect("directives");
    for directive in declared {
        for metric in directive["Metrics"].as_array().expect("metrics") {
            assert!(line[metric["Name"].as_str().expect("a name")].is_u64(), "{metric}");
        }
        for name in directive["Dimensions"].as_array().expect("sets").iter().flat_map(|set| set.as_array().expect("a set")) {
            assert!(line[name.as_str().expect("a name")].is_string(), "{name}");
        }
    }
    assert_eq!(line.get("HandlerToVerified"), None, "only what is known");
    assert_eq!(line["NotContained"], 1);
}

#[test]
fn a_case_that_stood_already_is_not_counted_again() {
    let mut story = timed(Outcome::Contained);
    story.result.repeat = true;
    assert_eq!(lines(&story), Vec::<Value>::new());
}
