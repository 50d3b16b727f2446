//! Looking at a contained target: the same reading as when it was contained, and what CloudTrail says that it left
//! behind. Nothing is changed here.

use super::Work;
use super::target::suspect;
use crate::aws::{Access, Fault};
use crate::case::Look;
use crate::containment::AtSource;
use crate::containment::identity::{self, Principal};
use crate::containment::instance::{Found, Observed};
use crate::error::Retry;
use crate::event::Created;
use crate::finding::Target;
use crate::respond::identity::{cloudtrail, principal};
use crate::respond::instance::{missing as missing_on_instance, observe};
use crate::respond::read;
use crate::timestamp::Timestamp;

/// What the code for what could not be read, and may be a moment later, is.
const NOT_READ: &str = "NotRead";

impl Work<'_> {
    /// Looks at the target.
    ///
    /// # Errors
    /// When something could not be read that may be a moment later.
    pub(super) async fn look(&self) -> Result<Look, Retry> {
        let (function, finding) = (self.function, &self.memory.finding);
        if function.config.responder.is_foreign(finding) {
            let unread = vec![format!("account {} is not among those that are looked into", finding.account)];
            return Ok(Look { unread, ..Look::default() });
        }
        let access = match function.clients.access(&finding.account).await {
            Ok(access) => access,
            Err(fault) if fault.is_retryable() => {
                return Err(Retry::before_any_change("assuming the rechecker role of", finding.account.to_string(), &fault));
            }
            Err(fault) => {
                let unread = vec![format!("its account cannot be entered: {fault}")];
                return Ok(Look { unread, ..Look::default() });
            }
        };
        let mut look = match &self.target {
            Target::Instance(_) => Box::pin(self.instance(&access)).await?,
            _ => Box::pin(self.identity(&access)).await?,
        };
        look.missing = look.missing.without(&self.case.failed);
        match self.created(&access).await {
            Ok((created, not_to_the_end)) => {
                look.created = created;
                look.more = not_to_the_end.into_iter().map(str::to_owned).collect();
            }
            // What was undone does not wait for CloudTrail.
            Err(fault) if fault.is_retryable() && look.missing.is_empty() => {
                return Err(Retry::before_any_change("asking CloudTrail what was created by", self.case.target.clone(), &fault));
            }
            Err(fault) => look.unread.push(format!("what it created (CloudTrail): {fault}")),
        }
        Ok(look)
    }

    async fn identity(&self, access: &Access) -> Result<Look, Retry> {
        let seen = principal::look(&access.iam, &self.target).await?;
        self.all_read(seen.passing, seen.state.unread())?;
        let contained = self.memory.decision.target.id.as_deref().and_then(|id| id.split(':').next());
        let gone = match (&seen.state, seen.state.unique_id()) {
            (Principal::Absent, _) => Some(
                "it was deleted since: its credentials are dead with it; look in CloudTrail for who did it, and what it created"
                    .to_owned(),
            ),
            (_, Some(now)) if Some(now.as_str()) != contained => {
                Some(format!("the name belongs to {now} by now: it was deleted and made again, and the new one is not contained"))
            }
            _ => None,
        };
        let partition = self.function.config.responder.partition;
        // Of another principal nothing is missing: it is not the one that was contained.
        let missing = match gone {
            None => identity::missing(&self.case.plan, &seen.state, partition, Timestamp::now()),
            Some(_) => crate::plan::Plan::default(),
        };
        Ok(Look { missing, gone, unread: seen.state.unread().to_vec(), ..Look::default() })
    }

    async fn instance(&self, access: &Access) -> Result<Look, Retry> {
        let (finding, plan) = (&self.memory.finding, &self.case.plan);
        let (seen, guardrails) =
            tokio::join!(Box::pin(observe::look(access, finding, &self.target, plan)), read::guardrails(&self.function.store));
        let seen = seen?;
        self.all_read(seen.passing, seen.state.unread())?;
        let mut unread = seen.state.unread().to_vec();
        let guardrails = guardrails.map_err(|none| none.reason);
        if let Err(reason) = &guardrails {
            unread.push(format!("guardrails: {reason}"));
        }
        let gone = match &seen.state {
            Found::Absent => Some("EC2 knows it no more: it was terminated since; look in CloudTrail for who did it".to_owned()),
            Found::Instance(instance) if instance.state == "terminated" => {
                Some("it was terminated since; look in CloudTrail for who did it".to_owned())
            }
            _ => None,
        };
        // Whether the finding is real was decided when it was contained.
        let observed = Observed { source: AtSource::NotKept, guardrails, state: seen.state };
        let filed = self.memory.decision.plan.filed_under();
        let missing = match gone {
            None => missing_on_instance(finding, &self.target, &observed, plan, filed, &self.function.config.responder),
            Some(_) => crate::plan::Plan::default(),
        };
        Ok(Look { missing, gone, unread, ..Look::default() })
    }

    /// Half-blind for a moment, nothing is said: the next try sees all of it.
    fn all_read(&self, passing: bool, unread: &[String]) -> Result<(), Retry> {
        if !passing {
            return Ok(());
        }
        let fault = Fault { code: NOT_READ.to_owned(), message: unread.join(", "), class: crate::aws::FaultClass::Retryable };
        Err(Retry::before_any_change("looking at", self.case.target.clone(), &fault))
    }

    /// What the principal created since the first sighting; of itself not, which its own record says.
    async fn created(&self, access: &Access) -> Result<(Vec<Created>, Vec<&'static str>), Fault> {
        let Some(suspect) = suspect(&self.target, &self.case.plan) else { return Ok((Vec::new(), Vec::new())) };
        let finding = &self.memory.finding;
        let (partition, every) = (finding.partition(), self.function.config.lookup_every);
        let (created, not_to_the_end) = cloudtrail::created_since(access, partition, &suspect, finding.first_seen, every).await?;
        let is_itself = |one: &Created| matches!((&one.on, &self.target), (crate::event::CreatedOn::User(name), Target::User(user)) if *name == user.name);
        Ok((created.into_iter().filter(|one| !is_itself(one)).collect(), not_to_the_end))
    }
}
