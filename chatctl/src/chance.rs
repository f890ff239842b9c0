//! The one place of this program that throws dice: everything else takes what was thrown as an argument.

use uuid::Uuid;

/// Random bits of the system: those of a UUID of version 4, of which 122 are random and the lowest 62 all are.
pub fn thrown() -> u128 {
    Uuid::new_v4().as_u128()
}
