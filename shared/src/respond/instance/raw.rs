//! EC2's own words. A description made of the fields we read is our account of the instance; evidence is what EC2 said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Keeps the answers to the calls it is put on, as they came. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

/// The one of them that listens to a single operation.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    name: &'static str,
    answers: Answers,
}

impl Answers {
    /// What listens to the operation called `name`.
    pub(super) fn of(&self, name: &'static str) -> Listener {
        Listener { name, answers: self.clone() }
    }

    /// What was heard, by name. Several pages follow one another.
    pub(super) fn take(&self) -> BTreeMap<String, Vec<u8>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Listener {
    fn name(&self) -> &'static str {
        "Answers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(bytes) = context.response().body().bytes() {
            let mut answers = self.answers.0.lock().unwrap_or_else(PoisonError::into_inner);
            answers.entry(self.name.to_owned()).or_default().extend_from_slice(bytes);
        }
        Ok(())
    }
}
