//! The case report: one page, in which whatever a ledger holds is text.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tourniquet::case::{Actor, Broken, CaseId, ChainReport, Entry, EntryKind, verify_chain};
use tourniquet::containment::Decision;
use tourniquet::finding::{Finding, Target};
use tourniquet::outcome::{Outcome, Status};
use tourniquet::plan::Plan;
use tourniquet::report::answer::TargetResult;
use tourniquet::report::notification::{Told, next};
use tourniquet::report::page::{Chain, Page, page};
use tourniquet::report::timing::Timing;
use tourniquet::text::sha256;

use crate::checks::text::holds_a_key;
use crate::report::{Story, contained_user, contested_session};
use crate::support::{HOSTILE, at};

const EVENT: &[u8] = br#"{"time": "2026-11-21T20:48:00Z"}"#;

/// A ledger as a delivery writes it that contains, reads back and tells.
pub(crate) struct Ledger(pub(crate) Vec<Entry>);

impl Ledger {
    pub(crate) fn new(finding: &Finding, target: &Target, decision: &Decision, plan: &Plan, result: &TargetResult) -> Self {
        let told = Told { finding, target, decision, result, plan, case_bucket: "cases", may_be_repeated: false, question: None };
        let mut result = result.clone();
        result.timing = Some(Timing {
            finding_type: finding.finding_type.clone(),
            first_seen: finding.first_seen,
            fired: Some(at("2026-11-21T20:48:00Z")),
            received: at("2026-11-21T20:48:01.166Z"),
            cut: Some(at("2026-11-21T20:48:01.250Z")),
            verified: Some(at("2026-11-21T20:48:05.300Z")),
        });
        let steps: Vec<Value> = decision
            .plan
            .steps()
            .zip(&result.steps)
            .map(|(step, report)| json!({ "step": step, "command": step.command(), "result": report }))
            .collect();
        let memory = json!({
            "finding": finding,
            "event_sha256": sha256(EVENT),
            "decision": decision,
            "commands": decision.plan.commands(),
            "original": { "groups": ["admins"], "note": "as it was" },
        });
        let mut ledger = Self(Vec::new());
        ledger.add(&result.case, EntryKind::Opened, memory);
        if !steps.is_empty() {
            ledger.add(&result.case, EntryKind::Acted, json!({ "steps": steps, "undo": plan.undo() }));
            ledger.add(&result.case, EntryKind::Verified, json!({ "round": 1, "holds": true }));
        }
        ledger.add(&result.case, EntryKind::Reported, json!({ "result": result, "next": next(told) }));
        ledger
    }

    fn of(story: &Story) -> Self {
        Self::new(&story.finding, &story.target, &story.decision, &story.plan, &story.result)
    }

    fn add(&mut self, case: &CaseId, entry: EntryKind, what: Value) {
        let number = u32::try_from(self.0.len() + 1).expect("a number");
        let previous = self.0.last().map(Entry::digest);
        let actor = Actor {
            function: "arn:aws:lambda:eu-west-1:111122223333:function:contain-identity".to_owned(),
            version: "0.1.0".to_owned(),
            request_id: "8f1c1e0e-5f5e-4f6e-9d0a-3b7a3c2d1e0f".to_owned(),
        };
        let at = at(&format!("2026-11-21T20:48:0{number}.400Z"));
        self.0.push(Entry { case: case.clone(), number, entry, at, actor, previous, what });
    }

    fn case(&self) -> &CaseId {
        &self.0[0].case
    }

    fn stored(&self) -> Vec<(String, Vec<u8>)> {
        let event = tourniquet::case::event_key(self.case(), &sha256(EVENT));
        self.0.iter().map(|entry| (entry.key(), entry.bytes())).chain([(event, EVENT.to_vec())]).collect()
    }

    pub(crate) fn page(&self, chain: Chain<'_>) -> Option<String> {
        page(Page {
            case: self.case(),
            entries: &self.0,
            place: "s3://tourniquet-cases-111122223333",
            chain,
            made: at("2026-11-21T21:00:00Z"),
            made_by: "tourniquet report 0.1.0",
        })
    }

    fn checked_page(&self) -> String {
        let report = verify_chain(self.case(), &self.stored()).expect("a chain that holds");
        self.page(Chain::Holds(&report)).expect("a page")
    }
}

/// The tags of a page, as written. Nothing else of it holds an angle bracket.
fn tags(page: &str) -> Vec<&str> {
    let tags = page.split('<').skip(1).map(|rest| rest.split_once('>').expect("a tag that is closed").0);
    tags.collect()
}

/// A tag without its coordinates.
fn shape(tag: &str) -> String {
    tag.chars().filter(|character| !character.is_ascii_digit()).collect()
}

fn body(page: &str) -> &str {
    page.split_once("</head>").expect("a head").1
}

#[test]
fn a_contained_user_is_told_on_one_page() {
    insta::assert_snapshot!("page_contained_user", body(&Ledger::of(&contained_user()).checked_page()));
}

#[test]
fn a_contested_session_is_told_on_one_page() {
    insta::assert_snapshot!("page_contested_session", body(&Ledger::of(&contested_session()).checked_page()));
}

#[test]
fn a_page_needs_nothing_beside_itself_and_runs_nothing() {
    let page = Ledger::of(&contained_user()).checked_page();
    let tags = tags(&page);
    let policy = "meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"";
    assert!(tags.contains(&policy), "{tags:?}");
    for tag in tags {
        let name = tag.split(' ').next().unwrap_or_default();
        assert!(!["script", "img", "link", "iframe", "object", "base", "form"].contains(&name), "{tag}");
        assert!(!tag.contains("href=") && !tag.contains("src=") && !tag.contains(" on"), "{tag}");
    }
    assert!(!page.contains("url(") && !page.contains("@import"));
}

#[test]
fn no_whole_access_key_is_on_a_page() {
    let ledger = Ledger::of(&contained_user());
    assert!(holds_a_key(&String::from_utf8(ledger.0[0].bytes()).expect("text")), "the ledger has keys whole");
    assert!(!holds_a_key(&ledger.checked_page()));
}

#[test]
fn a_page_says_what_is_known_of_the_chain() {
    let ledger = Ledger::of(&contained_user());
    let report = ChainReport { entries: 4, head: "ab".repeat(32) };
    let broken = Broken { key: "cases/x/0003.json".to_owned(), reason: "it was <edited>".to_owned() };
    let said = |chain| ledger.page(chain).expect("a page");
    assert!(said(Chain::Holds(&report)).contains("The chain holds: 4 entries."));
    assert!(said(Chain::Broken(&broken)).contains("THE CHAIN IS BROKEN: broken at cases/x/0003.json: it was &lt;edited&gt;"));
    assert!(said(Chain::NotChecked).contains(&format!("make verify-case CASE={}", ledger.case())));
}

#[test]
fn a_case_nobody_was_told_of_yet_is_at_work() {
    let mut ledger = Ledger::of(&contained_user());
    ledger.0.pop();
    let page = ledger.page(Chain::NotChecked).expect("a page");
    assert!(page.contains("<h1>AT WORK: user/ci/svc-build. Nobody has been told of an outcome yet.</h1>"), "{page}");
}

#[test]
fn a_ledger_without_a_beginning_has_no_page() {
    let mut ledger = Ledger::of(&contained_user());
    ledger.0.remove(0);
    assert_eq!(ledger.page(Chain::NotChecked), None);
}

/// Every text of `value` in turn, with another one in its place.
fn with_each_text(value: &Value, hostile: &str) -> Vec<Value> {
    match value {
        Value::String(_) => vec![Value::from(hostile)],
        Value::Array(items) => (0..items.len())
            .flat_map(|at| with_each_text(&items[at], hostile).into_iter().map(move |changed| (at, changed)))
            .map(|(at, changed)| {
                let mut items = items.clone();
                items[at] = changed;
                Value::Array(items)
            })
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| with_each_text(field, hostile).into_iter().map(move |changed| (name, changed)))
            .map(|(name, changed)| {
                let mut fields = fields.clone();
                fields.insert(name.clone(), changed);
                Value::Object(fields)
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn hostile_text_anywhere_in_a_ledger_is_text_on_the_page() {
    let marker = "ZZZ";
    let breaking = ["<script>ZZZ</script>", "\"'><svg onload=ZZZ>", "</pre></code></style>ZZZ<b>", "&lt;ZZZ\n<p>\u{202e}"];
    let session = contested_session();
    let mut failed = contained_user();
    failed.result.steps[0].status = Status::Failed("AccessDenied".to_owned());
    failed.result.outcome = Outcome::Partial("1 of 8 steps failed".to_owned());
    let mut shown = 0;
    for story in [contained_user(), session, failed] {
        let ledger = Ledger::of(&story);
        let plain = ledger.page(Chain::NotChecked).expect("a page");
        let mut known: BTreeSet<String> = tags(&plain).into_iter().map(shape).collect();
        // An outcome that cannot be read is none; a list that was left out may be there and the other way round.
        known.extend(
            ["header class=\"working\"", "ul", "/ul", "td class=\"bad\"", "td", "code", "/code", "p class=\"bad\"", "p"]
                .map(str::to_owned),
        );
        for (place, entry) in ledger.0.iter().enumerate() {
            let hostile = breaking.iter().chain(&HOSTILE).flat_map(|hostile| with_each_text(&entry.what, hostile));
            for what in hostile {
                let mut entries = ledger.0.clone();
                entries[place].what = what;
                let Some(page) = Ledger(entries).page(Chain::NotChecked) else { continue };
                let strange: Vec<_> = tags(&page).into_iter().map(shape).filter(|tag| !known.contains(tag)).collect();
                assert_eq!(strange, Vec::<String>::new());
                assert!(!page.chars().any(|c| c == '\u{202e}' || c == '\u{1b}' || c == '\0'), "{page:?}");
                shown += usize::from(page.contains(marker));
            }
        }
    }
    assert!(shown > 200, "{shown} pages showed it");
}
