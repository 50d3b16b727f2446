//! What Scheduler hands over, read as untrusted as any event: whoever may invoke the function may say anything.

use serde::Deserialize;

use crate::case::CaseId;
use crate::id::AccountId;
use crate::text::printable;

/// Which containment to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The case.
    pub case: CaseId,
    /// The key its target is filed under.
    pub target: String,
    /// Which look this is, from 1.
    pub round: u8,
}

/// The longest key of a target: the kind and the id of one are far shorter.
const LONGEST_TARGET: usize = 512;

/// No containment is looked at more often than that by itself.
const MOST_ROUNDS: u8 = 9;

impl Asked {
    /// Reads `{"recheck": {"case": …, "target": …, "round": …}}`.
    ///
    /// # Errors
    /// With what it is instead.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Envelope {
            recheck: Fields,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            case: String,
            target: String,
            round: u8,
        }
        let Envelope { recheck } = serde_json::from_slice(bytes).map_err(|error| printable(&error.to_string(), 160))?;
        let case = CaseId::parse(&recheck.case).map_err(|error| error.to_string())?;
        if !is_target(&recheck.target) {
            return Err(format!("`{}` is no target's key", printable(&recheck.target, 80)));
        }
        if !(1..=MOST_ROUNDS).contains(&recheck.round) {
            return Err(format!("round {} is none", recheck.round));
        }
        Ok(Self { case, target: recheck.target, round: recheck.round })
    }
}

/// `<account>/<kind>/<id>`, of which the id may hold what the name of a session may.
fn is_target(key: &str) -> bool {
    let mut parts = key.splitn(3, '/');
    let (account, kind, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@:-".contains(&byte));
    key.len() <= LONGEST_TARGET && AccountId::parse(account).is_ok() && is_word(kind) && id.is_some_and(is_id)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::user("111122223333/user/AIDAEXAMPLE0123456789")]
    #[case::session("111122223333/role_session/AROAEXAMPLE0123456789:i-0123456789abcdef0")]
    #[case::session_of_a_person("111122223333/role_session/AROAEXAMPLE0123456789:jane.doe+ops@example.com")]
    #[case::instance("111122223333/instance/i-0123456789abcdef0")]
    fn what_is_scheduled_is_read(#[case] target: &str) {
        let event = serde_json::json!({ "recheck": { "case": "IR-20261121-3f9a1c2e", "target": target, "round": 2 } });
        let asked = Asked::parse(event.to_string().as_bytes()).expect("a recheck");
        assert_eq!((asked.target.as_str(), asked.round), (target, 2));
    }

    #[rstest]
    #[case::nothing("")]
    #[case::a_finding(r#"{"source": "aws.guardduty", "detail": {}}"#)]
    #[case::a_list("[1]")]
    #[case::no_case(r#"{"recheck": {"case": "../guardrails", "target": "111122223333/user/A", "round": 1}}"#)]
    #[case::out_of_the_folder(r#"{"recheck": {"case": "IR-20261121-3f9a1c2e", "target": "111122223333/user/../x", "round": 1}}"#)]
    #[case::no_account(r#"{"recheck": {"case": "IR-20261121-3f9a1c2e", "target": "cases/user/A", "round": 1}}"#)]
    #[case::no_round(r#"{"recheck": {"case": "IR-20261121-3f9a1c2e", "target": "111122223333/user/A", "round": 0}}"#)]
    #[case::round_of_text(r#"{"recheck": {"case": "IR-20261121-3f9a1c2e", "target": "111122223333/user/A", "round": "1"}}"#)]
    #[case::more(r#"{"recheck": {"case": "IR-20261121-3f9a1c2e", "target": "111122223333/user/A", "round": 1, "deny": false}}"#)]
    #[case::a_line_break(
        "{\"recheck\": {\"case\": \"IR-20261121-3f9a1c2e\", \"target\": \"111122223333/user/A\\nb\", \"round\": 1}}"
    )]
    fn anything_else_is_refused(#[case] event: &str) {
        Asked::parse(event.as_bytes()).expect_err("refused");
    }

    #[test]
    fn a_key_without_end_is_refused() {
        let event = serde_json::json!({
            "recheck": { "case": "IR-20261121-3f9a1c2e", "target": format!("111122223333/user/{}", "A".repeat(600)), "round": 1 }
        });
        Asked::parse(event.to_string().as_bytes()).expect_err("refused");
    }
}
