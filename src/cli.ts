#!/usr/bin/env node
/** The command `peft-compile`. */
import { main } from "./cli/program.ts";
import { processTerminal } from "./cli/terminal.ts";

process.exitCode = await main(process.argv.slice(2), processTerminal());
