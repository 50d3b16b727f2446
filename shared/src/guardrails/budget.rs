//! How much may be contained by itself: past it, everything is proposed (CONTAINMENT H5).

/// How much may be contained without a person in any sixty minutes, and of one fleet at the same time. What is not
/// given is not bounded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Budget {
    /// Containments in sixty minutes, in one account.
    pub per_account: Option<u32>,
    /// Containments in sixty minutes, in all accounts of one stack.
    pub total: Option<u32>,
    /// The share of an Auto Scaling group's instances that may be out of service at the same time; one always may.
    pub fleet_share: Option<f64>,
}

impl Budget {
    /// Whether containments have to be counted.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.per_account.is_some() || self.total.is_some()
    }
}
