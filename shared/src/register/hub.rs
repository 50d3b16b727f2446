//! Security Hub's custom actions: read, and changed one by one.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::answer::{Ending, Outcome};
use super::decide::{Action, Change, changes};
use super::request::Wish;
use crate::aws::{Call, Fault, JsonService};
use crate::finding::Button;
use crate::id::{AccountId, Arn, Region};

/// What has been done so far: kept outside the work, which may be cut short.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<(Vec<Change>, Vec<Change>)>);

impl Progress {
    /// How it ends, with what was done by now.
    pub(super) fn ending(&self, ending: Ending) -> Outcome {
        self.with(|(done, left)| Outcome { ending, done: done.clone(), left: left.clone() })
    }

    fn with<T>(&self, work: impl FnOnce(&mut (Vec<Change>, Vec<Change>)) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// The actions of one account and Region.
pub(super) struct Hub<'a> {
    pub(super) service: &'a JsonService,
    pub(super) account: &'a AccountId,
    pub(super) region: &'a Region,
}

/// A hub has 50 custom actions at most, and a page of 100.
const MOST_PAGES: usize = 5;

impl Hub<'_> {
    /// Reads what is there, and calls what is missing. Stops at the first call that fails.
    pub(super) async fn grant(&self, wish: Wish, physical_id: &str, progress: &Progress) -> Ending {
        let there = match self.actions().await {
            Ok(there) => there,
            Err(fault) if is_off(&fault) => return Ending::NoHub,
            Err(fault) => return Ending::Failed(format!("DescribeActionTargets: {fault}")),
        };
        progress.with(|(_, left)| *left = changes(wish, physical_id, &there));
        while let Some(change) = progress.with(|(_, left)| left.first().cloned()) {
            if let Err(fault) = self.carry_out(&change).await {
                let what = format!("{} {}: {fault}", change.word(), change.button().name());
                return if is_off(&fault) { Ending::NoHub } else { Ending::Failed(what) };
            }
            progress.with(|(done, left)| {
                left.remove(0);
                done.push(change);
            });
        }
        Ending::Done
    }

    async fn actions(&self) -> Result<Vec<Action>, Fault> {
        let (mut found, mut token) = (Vec::new(), Value::Null);
        for _ in 0..MOST_PAGES {
            let mut body = json!({ "MaxResults": 100 });
            if !token.is_null() {
                body["NextToken"] = token;
            }
            let mut answer = self.call("DescribeActionTargets", "POST", "/actionTargets/get".to_owned(), body).await?;
            found.extend(answer["ActionTargets"].as_array().into_iter().flatten().filter_map(|action| self.ours(action)));
            token = answer["NextToken"].take();
            if token.is_null() {
                break;
            }
        }
        Ok(found)
    }

    fn ours(&self, action: &Value) -> Option<Action> {
        let text = |field: &str| action[field].as_str().unwrap_or_default().to_owned();
        let arn = Arn::parse(&text("ActionTargetArn")).ok()?;
        let button = Button::of(&arn).filter(|button| button.action(self.account, self.region) == arn.as_str())?;
        Some(Action { button, name: text("Name"), description: text("Description") })
    }

    /// Another delivery of the same request may be a call ahead: what it did already counts as done.
    async fn carry_out(&self, change: &Change) -> Result<(), Fault> {
        match change {
            Change::Create { button, description } => match self.create(*button, description).await {
                Err(fault) if fault.code == "ResourceConflictException" => self.update(*button, description).await,
                outcome => outcome,
            },
            Change::Update { button, description } => match self.update(*button, description).await {
                Err(fault) if is_gone(&fault) => self.create(*button, description).await,
                outcome => outcome,
            },
            Change::Delete { button } => match self.delete(*button).await {
                Err(fault) if is_gone(&fault) => Ok(()),
                outcome => outcome,
            },
        }
    }

    async fn create(&self, button: Button, description: &str) -> Result<(), Fault> {
        let body = json!({ "Id": button.id(), "Name": button.name(), "Description": description });
        self.call("CreateActionTarget", "POST", "/actionTargets".to_owned(), body).await.map(drop)
    }

    async fn update(&self, button: Button, description: &str) -> Result<(), Fault> {
        let body = json!({ "Name": button.name(), "Description": description });
        self.call("UpdateActionTarget", "PATCH", self.path(button), body).await.map(drop)
    }

    /// The one delete that no undo puts back, and none is needed: a button holds nothing, is evidence of nothing, and is
    /// made again by the next deployment (DESIGN §4.1). Its ARN is made of our own ids alone, so it can be no one else's.
    async fn delete(&self, button: Button) -> Result<(), Fault> {
        self.call("DeleteActionTarget", "DELETE", self.path(button), json!({})).await.map(drop)
    }

    fn path(&self, button: Button) -> String {
        format!("/actionTargets/{}", button.action(self.account, self.region).replace(':', "%3A"))
    }

    async fn call(&self, operation: &'static str, method: &'static str, path: String, body: Value) -> Result<Value, Fault> {
        self.service.call(None, Call { operation, method, path, target: None, body }).await
    }
}

fn is_gone(fault: &Fault) -> bool {
    fault.code == "ResourceNotFoundException"
}

/// What Security Hub answers where it is not enabled. IAM's refusal is `AccessDeniedException`.
fn is_off(fault: &Fault) -> bool {
    fault.code == "InvalidAccessException"
}
