//! Contains compromised IAM users and role sessions. The walk is `tourniquet::respond`.

use lambda_runtime::{Error, run, service_fn};
use tourniquet::respond::{Function, on_a_deep_stack};

fn main() -> Result<(), Error> {
    tourniquet::config::log_as_json();
    on_a_deep_stack(async || {
        let function = Function::from_env().await?;
        run(service_fn(|event| function.handle(event))).await
    })
}
