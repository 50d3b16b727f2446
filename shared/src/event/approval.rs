//! What persons say: the approval of a proposal by invocation, and what EventBridge tells of a press of a button.

use serde::Deserialize;
use serde_json::Value;

use super::{Ignored, IgnoredReason, LARGEST_EVENT};
use crate::id::{AccountId, CaseId};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// `{"approve": {"case": "IR-…", "plan": "<digest>"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approve {
    /// The case whose proposal is approved.
    pub case: CaseId,
    /// The digest of the plan proposed, as the message gives it.
    pub plan: String,
}

/// Reads an approval by invocation; none where the event is something else.
///
/// # Errors
/// With the reason, where it means to be one and is not of that form.
#[must_use]
pub fn parse_approval(bytes: &[u8]) -> Option<Result<Approve, Ignored>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        case: CaseId,
        plan: String,
    }
    if bytes.len() > LARGEST_EVENT {
        return None;
    }
    let event = serde_json::from_slice::<Value>(bytes).ok()?;
    let fields = event.get("approve")?;
    let parsed = Fields::deserialize(fields).map_err(|error| error.to_string()).and_then(|Fields { case, plan }| {
        let is_digest = plan.len() == 32 && plan.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_digest { Ok(Approve { case, plan }) } else { Err("`plan` is not the digest of a plan".to_owned()) }
    });
    Some(parsed.map_err(|reason| Ignored { reason: IgnoredReason::ApprovalRefused, detail: printable(&reason, 200) }))
}

/// What EventBridge's envelope tells of a press of a button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    /// The event's id, the same in every delivery of it.
    pub event: Option<String>,
    /// The account it was pressed in.
    pub account: Option<AccountId>,
    /// When.
    pub at: Option<Timestamp>,
    /// The ARN of the custom action; none where nothing was pressed.
    pub action: Option<String>,
}

/// What the envelope of a custom action tells.
#[must_use]
pub fn pressed(event: &[u8]) -> Press {
    let event = serde_json::from_slice::<Value>(event).unwrap_or_default();
    let text = |field: &str| event.get(field).and_then(Value::as_str);
    Press {
        event: text("id").filter(|id| !id.is_empty()).map(|id| printable(id, 64)),
        account: text("account").and_then(|account| AccountId::parse(account).ok()),
        at: text("time").and_then(|time| Timestamp::parse(time).ok()),
        action: event["resources"][0].as_str().filter(|_| event["source"] == "aws.securityhub").map(|arn| printable(arn, 256)),
    }
}
