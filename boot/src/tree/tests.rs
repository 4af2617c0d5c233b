//! Tests with the trees that QEMU makes, and with broken ones.
