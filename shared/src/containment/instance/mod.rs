//! EC2 instances: isolated with their evidence, never stopped, rebooted or terminated.

mod changes;
mod decide;
mod missing;
mod observed;
mod risks;

pub use changes::{HOLD_STAGE, ISOLATE_STAGE, deregistration, locks};
pub use decide::decide;
pub use missing::missing;
pub use observed::{
    Address, AutoScalingMembership, Found, Interface, IsolationGroup, Lifecycle, Observed, ObservedInstance, Profile,
    ProfileRole, Registration, Volume,
};
