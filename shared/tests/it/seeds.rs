//! The fuzz targets' seeds, through the fuzz targets' checks: what a fuzzer starts from must hold with any compiler.

use proptest::prelude::*;
use tourniquet::finding::Finding;
use tourniquet::guardrails::Guardrails;

use crate::checks::walk::CONTAIN_EVERYTHING;
use crate::checks::{chain, guardrails};
use crate::support::{finding, repository, shipped_text};

fn ledgers() -> Vec<Vec<u8>> {
    let folder = repository().join("fuzz/seeds/chain");
    let files = std::fs::read_dir(folder).expect("the seeds").map(|entry| entry.expect("a seed").path());
    let mut ledgers: Vec<_> = files.map(|path| std::fs::read(path).expect("a seed")).collect();
    ledgers.sort();
    assert!(ledgers.len() >= 4, "the seeds were not found");
    ledgers
}

fn accusations() -> Vec<Finding> {
    ["leaked-access-key", "role-session-named", "low-severity-user"].map(finding).to_vec()
}

#[test]
fn every_ledger_of_the_seeds_keeps_what_a_ledger_promises() {
    for ledger in ledgers() {
        for (linked, choice) in (0..=1_u8).flat_map(|linked| (0..200_u8).map(move |choice| (linked, choice))) {
            let mut ledger = ledger.clone();
            ledger[..4].copy_from_slice(&[linked, 0, choice / 16, choice.wrapping_mul(31)]);
            chain::check_text(&ledger);
        }
    }
}

#[test]
fn the_shipped_guardrails_cut_at_any_line_or_with_any_line_left_out_are_refused_or_answer_everything() {
    let (text, accusations) = (shipped_text(), accusations());
    guardrails::check(&text, &accusations);
    let lines: Vec<_> = text.lines().collect();
    for at in 0..lines.len() {
        guardrails::check(&lines[..at].join("\n"), &accusations);
        guardrails::check(&[&lines[..at], &lines[at + 1..]].concat().join("\n"), &accusations);
    }
}

#[test]
fn a_rule_whose_name_cannot_be_shown_is_refused() {
    for name in ["", " ", "\\u001b[2J", "one\\nHOW TO UNDO", "\\u202etnemniatnoc", &"n".repeat(121)] {
        let rule = format!("[[rule]]\nname = \"{name}\"\nmode = \"observe\"\n");
        let error = Guardrails::parse("guardrails.toml", &format!("{CONTAIN_EVERYTHING}{rule}")).expect_err(name);
        assert_eq!(error.to_string(), "guardrails.toml:7: a rule needs a name of 120 printable characters at most");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn guardrails_with_a_piece_replaced_are_refused_or_answer_everything(
        at in any::<prop::sample::Index>(),
        removed in 0_usize..40,
        inserted in prop_oneof!["[ -~]{0,20}", "\\PC{0,8}", Just("nan".to_owned()), Just("\\u001b".to_owned())],
    ) {
        let mut text: Vec<char> = shipped_text().chars().collect();
        let at = at.index(text.len());
        let end = (at + removed).min(text.len());
        text.splice(at..end, inserted.chars());
        guardrails::check(&text.into_iter().collect::<String>(), &accusations());
    }

    #[test]
    fn a_ledger_of_any_lines_holds_or_names_its_first_broken_link(
        head in any::<[u8; 4]>(),
        of in any::<prop::sample::Index>(),
        lines in prop::collection::vec((any::<prop::sample::Index>(), prop::option::weighted(0.2, "[ -~]{0,60}")), 0..6),
    ) {
        let seeds = ledgers();
        let known: Vec<&[u8]> = of.get(&seeds)[4..].split(|byte| *byte == b'\n').collect();
        let lines = lines.iter().map(|(of, other)| other.as_ref().map_or(*of.get(&known), |text| text.as_bytes()));
        chain::check_text(&[&head[..], &lines.collect::<Vec<_>>().join(&b'\n')].concat());
    }
}
