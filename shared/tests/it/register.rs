//! The custom resource of the buttons, as tables: what is asked and what is there, to what is called and answered.

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::finding::Button;
use tourniquet::id::{Partition, Region};
use tourniquet::register::{Action, Change, Ending, Outcome, Request, ResponseUrl, Wish, changes, document};

use crate::support::{account, events_for};

const URL: &str = "https://cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com/arn%3Aaws%3Astack?\
                   AWSAccessKeyId=AKIAEXAMPLE&Expires=1764412000&Signature=c2VjcmV0";

fn event(request_type: &str) -> Value {
    json!({
        "RequestType": request_type,
        "ResponseURL": URL,
        "StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/tourniquet/1a2b",
        "RequestId": "11111111-2222-3333-4444-555555555555",
        "LogicalResourceId": "SecurityHubActions",
        "ResourceType": "Custom::SecurityHubActions",
        "ResourceProperties": { "ServiceToken": "arn:aws:lambda:eu-west-1:111122223333:function:register-actions" },
    })
}

fn with(mut event: Value, field: &str, value: impl Into<Value>) -> Value {
    event[field] = value.into();
    event
}

/// What Security Hub has after `changes` were called.
fn after(mut there: Vec<Action>, changes: &[Change]) -> Vec<Action> {
    for change in changes {
        let button = change.button();
        there.retain(|action| action.button != button);
        if let Change::Create { description, .. } | Change::Update { description, .. } = change {
            there.push(Action { button, name: button.name().to_owned(), description: description.clone() });
        }
    }
    there
}

/// The words of the calls of each request after the other, and what is there in the end.
fn play(mut there: Vec<Action>, requests: &[(Wish, &str)]) -> (Vec<Vec<&'static str>>, Vec<Action>) {
    let mut called = Vec::new();
    for (wish, physical_id) in requests {
        let changes = changes(*wish, physical_id, &there);
        called.push(changes.iter().map(Change::word).collect());
        there = after(there, &changes);
    }
    (called, there)
}

const CREATE: &[&str] = &["create"; 3];
const UPDATE: &[&str] = &["update"; 3];
const DELETE: &[&str] = &["delete"; 3];
const NOTHING: &[&str] = &[];

use Wish::{Gone, There};

#[rstest]
#[case::made_and_removed(&[(There, "a"), (Gone, "a")], &[CREATE, DELETE], 0)]
#[case::delivered_twice(&[(There, "a"), (There, "a"), (Gone, "a"), (Gone, "a")], &[CREATE, NOTHING, DELETE, NOTHING], 0)]
#[case::updated_without_a_difference(&[(There, "a"), (There, "a")], &[CREATE, NOTHING], 3)]
#[case::a_create_that_failed_elsewhere(&[(There, "a"), (Gone, "never-created")], &[CREATE, NOTHING], 3)]
#[case::replaced(&[(There, "a"), (There, "b"), (Gone, "a")], &[CREATE, UPDATE, UPDATE], 3)]
#[case::replaced_and_rolled_back(&[(There, "a"), (There, "b"), (Gone, "b")], &[CREATE, UPDATE, UPDATE], 3)]
#[case::replaced_and_removed(&[(There, "a"), (There, "b"), (Gone, "a"), (Gone, "b")], &[CREATE, UPDATE, UPDATE, DELETE], 0)]
#[case::an_old_one_s_delete_comes_late(&[(There, "a"), (Gone, "a"), (There, "b"), (Gone, "a")], &[CREATE, DELETE, CREATE, NOTHING], 3)]
#[case::nothing_there(&[(Gone, "a")], &[NOTHING], 0)]
fn the_actions_live_as_long_as_somebody_needs_them(
    #[case] requests: &[(Wish, &str)],
    #[case] expected: &[&[&str]],
    #[case] left: usize,
) {
    let (called, there) = play(Vec::new(), requests);
    assert_eq!(called, expected);
    assert_eq!(there.len(), left);
}

fn by_hand(button: Button) -> Action {
    Action { button, name: "Mine".to_owned(), description: "made in the console".to_owned() }
}

#[test]
fn an_action_that_exists_already_is_adopted_and_removed_with_the_stack() {
    let (called, there) = play(vec![by_hand(Button::Release)], &[(There, "a"), (Gone, "a")]);
    assert_eq!(called, [vec!["create", "update", "create"], DELETE.to_vec()]);
    assert_eq!(there, []);
}

#[test]
fn an_action_that_nobody_adopted_is_not_removed() {
    assert_eq!(changes(Gone, "a", &[by_hand(Button::Contain)]), []);
}

#[test]
fn what_somebody_changed_or_removed_is_put_right() {
    let (_, mut there) = play(Vec::new(), &[(There, "a")]);
    there.retain(|action| action.button != Button::Propose);
    there[0].name = "Something else".to_owned();
    let words: Vec<_> = changes(There, "a", &there).iter().map(|change| (change.word(), change.button())).collect();
    assert_eq!(words, [("update", Button::Contain), ("create", Button::Propose)]);
}

#[test]
fn a_crash_between_any_two_calls_is_finished_by_the_next_delivery() {
    for (before, wish) in [(Vec::new(), There), (play(Vec::new(), &[(There, "a")]).1, Gone)] {
        let whole = changes(wish, "a", &before);
        for made in 0..=whole.len() {
            let crashed = after(before.clone(), &whole[..made]);
            let mended = after(crashed.clone(), &changes(wish, "a", &crashed));
            assert_eq!(mended.len(), if wish == There { 3 } else { 0 });
            assert_eq!(changes(wish, "a", &mended), [], "and then there is nothing left to do");
        }
    }
}

#[test]
fn descriptions_are_what_security_hub_takes_however_many_owners_there_were() {
    let owners: Vec<String> = (0..40).map(|n| format!("tourniquet-buttons-{n:012x}")).collect();
    let requests: Vec<_> = owners.iter().map(|owner| (There, owner.as_str())).collect();
    let (_, there) = play(Vec::new(), &requests);
    for action in &there {
        assert!((1..=500).contains(&action.description.chars().count()), "{}", action.description);
    }
    let (called, there) = play(there, &[(Gone, owners[0].as_str()), (Gone, owners[39].as_str())]);
    assert_eq!((called, there.len()), (vec![NOTHING.to_vec(), UPDATE.to_vec()], 3), "the first was forgotten long ago");
}

#[test]
fn a_mark_is_read_whatever_stands_before_it() {
    let (_, mut there) = play(Vec::new(), &[(There, "a")]);
    for action in &mut there {
        action.description = action.description.replacen("finding", "finding [tourniquet x]", 1);
    }
    assert_eq!(changes(Gone, "a", &there).iter().map(Change::word).collect::<Vec<_>>(), DELETE);
}

#[rstest]
#[case::create(&event("Create"), Ok(There))]
#[case::update(&with(event("Update"), "PhysicalResourceId", "tourniquet-buttons-1"), Ok(There))]
#[case::delete(&with(event("Delete"), "PhysicalResourceId", "tourniquet-buttons-1"), Ok(Gone))]
#[case::update_of_nothing(&event("Update"), Err("the request names no PhysicalResourceId"))]
#[case::delete_of_nothing(&event("Delete"), Err("the request names no PhysicalResourceId"))]
#[case::another_type(&event("Replace"), Err("the request is neither Create nor Update nor Delete"))]
#[case::no_type(&with(event("Create"), "RequestType", Value::Null), Err("the request is neither Create nor Update nor Delete"))]
#[case::no_stack(&with(event("Create"), "StackId", Value::Null), Err("the request names no stack, resource or request"))]
#[case::a_number_for_a_stack(&with(event("Create"), "StackId", 1), Err("the request names no stack, resource or request"))]
#[case::no_request(&with(event("Create"), "RequestId", ""), Err("the request names no stack, resource or request"))]
#[case::nothing(&json!({}), Err("the request names no stack, resource or request"))]
#[case::no_object(&json!([1]), Err("the request names no stack, resource or request"))]
fn a_request_is_read_or_the_answer_says_why_not(#[case] event: &Value, #[case] expected: Result<Wish, &str>) {
    assert_eq!(Request::read(event).wish, expected);
}

#[test]
fn a_physical_id_is_one_request_s_and_stays_while_the_resource_lives() {
    let made = Request::read(&event("Create")).physical_id;
    assert!(made.starts_with("tourniquet-buttons-") && made.len() < 40, "{made}");
    assert_eq!(Request::read(&event("Create")).physical_id, made, "however often it is delivered");
    for other in ["StackId", "RequestId", "LogicalResourceId"] {
        assert_ne!(Request::read(&with(event("Create"), other, "another")).physical_id, made, "{other}");
    }
    // A Create that says whose it is, too, is no Update.
    assert_eq!(Request::read(&with(event("Create"), "PhysicalResourceId", "theirs")).physical_id, made);
    for request_type in ["Update", "Delete", "Replace"] {
        let request = Request::read(&with(event(request_type), "PhysicalResourceId", "theirs"));
        assert_eq!(request.physical_id, "theirs", "{request_type}");
    }
}

fn here() -> Region {
    Region::parse("eu-west-1").expect("a Region")
}

fn answer(event: &Value, outcome: &Outcome) -> Value {
    document(&Request::read(event), outcome, Some((&account(), &here())))
}

fn done(ending: Ending) -> Outcome {
    let change = |button| Change::Delete { button };
    Outcome { ending, done: vec![change(Button::Contain)], left: vec![change(Button::Release), change(Button::Propose)] }
}

#[test]
fn a_success_names_the_actions() {
    let outcome = Outcome { left: Vec::new(), ..done(Ending::Done) };
    insta::assert_json_snapshot!(answer(&event("Create"), &outcome));
}

#[test]
fn a_failure_says_what_was_done_and_what_was_not() {
    let outcome = done(Ending::Failed("delete Release: ThrottlingException: Rate exceeded".to_owned()));
    insta::assert_json_snapshot!(answer(&with(event("Delete"), "PhysicalResourceId", "theirs"), &outcome));
}

#[test]
fn without_a_hub_a_stack_is_deployed_and_its_output_says_that_there_are_no_buttons() {
    let answered = answer(&event("Create"), &Outcome { done: Vec::new(), left: Vec::new(), ..done(Ending::NoHub) });
    assert_eq!(answered["Status"], "SUCCESS");
    assert_eq!(answered["Data"]["Buttons"], "none: Security Hub is not enabled in this account and Region");
    assert_eq!(answered["Data"]["ContainArn"], Button::Contain.action(&account(), &here()));
}

#[test]
fn an_answer_is_no_larger_than_cloudformation_takes() {
    let long = "x".repeat(100_000);
    let mut hostile = event(&long);
    for field in ["StackId", "RequestId", "LogicalResourceId", "PhysicalResourceId"] {
        hostile[field] = long.clone().into();
    }
    for ending in [Ending::Done, Ending::NoHub, Ending::Failed(long)] {
        let text = answer(&hostile, &done(ending)).to_string();
        assert!(text.len() <= 4096, "{} bytes", text.len());
    }
}

fn read(url: &str, partition: Partition, endpoint: Option<&str>) -> Result<ResponseUrl, &'static str> {
    ResponseUrl::read(&with(event("Create"), "ResponseURL", url), partition, endpoint)
}

#[rstest]
#[case::as_it_comes(URL, Partition::Aws)]
#[case::global("https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/a?b", Partition::Aws)]
#[case::with_its_region("https://bucket.s3.eu-central-1.amazonaws.com/a?b", Partition::Aws)]
#[case::dual_stack("https://bucket.s3.dualstack.eu-central-1.amazonaws.com/a?b", Partition::Aws)]
#[case::path_style("https://s3.eu-central-1.amazonaws.com/bucket/a?b", Partition::Aws)]
#[case::gov_cloud("https://bucket.s3.us-gov-west-1.amazonaws.com/a?b", Partition::GovCloud)]
#[case::china("https://bucket.s3.cn-north-1.amazonaws.com.cn/a?b", Partition::China)]
fn the_answer_goes_to_s3(#[case] url: &str, #[case] partition: Partition) {
    let read = read(url, partition, None).expect("a URL of S3");
    assert_eq!(format!("{}{}", read.origin(), read.path()), url, "byte for byte: the signature is over it");
    assert_eq!(format!("{read:?}"), "ResponseUrl(…)", "it is a credential");
}

#[rstest]
#[case::plain_http("http://bucket.s3.amazonaws.com/a?b")]
#[case::another_host("https://example.com/a?b")]
#[case::another_host_s_subdomain("https://bucket.s3.amazonaws.com.example.com/a?b")]
#[case::a_lookalike("https://bucket.s3.example-amazonaws.com/a?b")]
#[case::no_dot_before("https://s3amazonaws.com/a?b")]
#[case::another_service("https://sqs.eu-west-1.amazonaws.com/111122223333/queue?b")]
#[case::a_function_url("https://abc.lambda-url.eu-west-1.on.aws/a?b")]
#[case::an_api("https://abc.execute-api.eu-west-1.amazonaws.com/a?b")]
#[case::an_instance("https://ec2-198-51-100-1.eu-west-1.compute.amazonaws.com/a?b")]
#[case::a_load_balancer("https://s3.eu-west-1.elb.amazonaws.com/a?b")]
#[case::no_region_behind("https://bucket.s3.execute-api.amazonaws.com/a?b")]
#[case::a_website("https://bucket.s3-website.eu-west-1.amazonaws.com/a?b")]
#[case::another_partition("https://bucket.s3.cn-north-1.amazonaws.com.cn/a?b")]
#[case::another_partition_s_region("https://bucket.s3.cn-north-1.amazonaws.com/a?b")]
#[case::with_a_user("https://s3.amazonaws.com@example.com/a?b")]
#[case::with_a_user_of_s3("https://user:password@bucket.s3.amazonaws.com/a?b")]
#[case::with_a_port("https://bucket.s3.amazonaws.com:8443/a?b")]
#[case::a_backslash("https://example.com\\.s3.amazonaws.com/a?b")]
#[case::a_query_for_a_host("https://example.com?.s3.amazonaws.com/a")]
#[case::a_fragment("https://example.com#.s3.amazonaws.com/a")]
#[case::a_line_break("https://bucket.s3.amazonaws.com/a\r\nHost: example.com")]
#[case::metadata("http://169.254.169.254/latest/meta-data/")]
#[case::a_file("file:///etc/passwd")]
#[case::no_object("https://bucket.s3.amazonaws.com")]
#[case::empty("")]
fn an_answer_goes_nowhere_else(#[case] url: &str) {
    let refused = read(url, Partition::Aws, None).expect_err("hostile");
    assert!(refused.starts_with("the ResponseURL ") && !refused.contains("example"), "{refused}");
}

#[test]
fn an_endpoint_that_takes_the_place_of_aws_is_answered_too() {
    let endpoint = Some("http://127.0.0.1:4566");
    assert!(read("http://127.0.0.1:4566/lab/answers/1?x=y", Partition::Aws, endpoint).is_ok());
    assert!(read(URL, Partition::Aws, endpoint).is_ok());
    for url in ["http://127.0.0.1:45660/a", "http://127.0.0.1:4566.example.com/a", "http://127.0.0.1:4566@example.com/a"] {
        assert!(read(url, Partition::Aws, endpoint).is_err(), "{url}");
    }
    assert!(ResponseUrl::read(&json!({}), Partition::Aws, endpoint).is_err());
}

#[test]
fn the_sample_requests_are_of_one_resource() {
    let samples: Vec<(String, Request)> = events_for("register-actions")
        .into_iter()
        .map(|(name, bytes)| {
            let event: Value = serde_json::from_slice(&bytes).expect("JSON");
            ResponseUrl::read(&event, Partition::Aws, None).expect("a place to answer at");
            (name, Request::read(&event))
        })
        .collect();
    let wishes: Vec<_> = samples.iter().map(|(name, request)| (name.as_str(), request.wish)).collect();
    assert_eq!(wishes, [("create", Ok(There)), ("delete", Ok(Gone)), ("update", Ok(There))]);
    assert!(samples.iter().all(|(_, request)| request.physical_id == samples[0].1.physical_id));
}
