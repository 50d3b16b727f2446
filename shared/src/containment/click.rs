//! Whether a person's click is one to follow.

use crate::event::{Ignored, IgnoredReason};
use crate::finding::{Button, Trigger};
use crate::id::{AccountId, Region};
use crate::text::printable;

/// Why a click is nothing to act on for a function of `account` and `region` that answers `buttons`. None for an event of
/// a detector, which is nobody's click.
///
/// Whoever may create custom actions in some account may send clicks from there, and an action of another name may mean
/// anything: only Tourniquet's own three are followed, of the account and Region its stack is in.
#[must_use]
pub fn refused_click(trigger: &Trigger, buttons: &[Button], account: &AccountId, region: &Region) -> Option<Ignored> {
    let Trigger::Button { action } = trigger else { return None };
    let ignored = |reason, detail: String| Some(Ignored { reason, detail: printable(&detail, 200) });
    let ours = trigger.button().filter(|button| button.action(account, region) == *action);
    match ours {
        None => ignored(IgnoredReason::NotOurButton, format!("`{action}` is no button of Tourniquet in {account}, {region}")),
        Some(button) if !buttons.contains(&button) => {
            ignored(IgnoredReason::NotForThisFunction, format!("`{}` was pressed", button.name()))
        }
        Some(_) => None,
    }
}
