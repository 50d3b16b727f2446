//! How many AWS calls had to follow one another: the latency of a containment, counted where it cannot be argued with.
//!
//! A call's *depth* is one more than the depth of any call that had been answered when it was issued. Calls issued
//! side by side have the same depth, so the depth of the cut is the number of dependent round trips before the
//! attacker is denied (DESIGN §5.5).

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

/// Counts the calls of one invocation. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct CallLog(Arc<Mutex<Count>>);

#[derive(Debug, Default)]
struct Count {
    /// The depth of the deepest call answered so far.
    answered: u32,
    /// Every call issued: its operation and its depth.
    issued: Vec<(String, u32)>,
}

/// A call's depth, kept with the call until it is answered.
#[derive(Debug, Clone, Copy)]
struct Depth(u32);

impl Storable for Depth {
    type Storer = StoreReplace<Self>;
}

impl CallLog {
    /// Forgets the calls of the invocation before.
    pub fn begin(&self) {
        *self.count() = Count::default();
    }

    /// The depth at which the first call of `operation` was issued.
    #[must_use]
    pub fn depth_of(&self, operation: &str) -> Option<u32> {
        self.count().issued.iter().find(|(issued, _)| issued == operation).map(|(_, depth)| *depth)
    }

    /// How many calls were issued.
    #[must_use]
    pub fn total(&self) -> usize {
        self.count().issued.len()
    }

    fn count(&self) -> std::sync::MutexGuard<'_, Count> {
        // A count is a count, whatever panicked while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for CallLog {
    fn name(&self) -> &'static str {
        "CallLog"
    }

    /// The first hook at which the operation is known; nothing has been awaited before it.
    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map_or_else(String::new, |metadata| metadata.name().to_owned());
        let depth = {
            let mut count = self.count();
            let depth = count.answered + 1;
            count.issued.push((operation, depth));
            depth
        };
        config.interceptor_state().store_put(Depth(depth));
        Ok(())
    }

    fn read_after_execution(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Depth(depth)) = config.load::<Depth>().copied() {
            let mut count = self.count();
            count.answered = count.answered.max(depth);
        }
        Ok(())
    }
}
