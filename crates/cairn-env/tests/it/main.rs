//! Tests of the environment: the same contract for all three file systems, tasks and signals, and each fault
//! of the simulation.

mod contract;
mod crash;
mod faults;
mod tasks;
