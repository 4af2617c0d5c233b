//! `ping` as a program of its own.
#![cfg_attr(target_os = "none", no_std, no_main)]

tessera_tools::program!(ping);
