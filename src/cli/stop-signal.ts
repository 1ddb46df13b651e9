/** Ctrl-C and SIGTERM as a wish that is asked for between steps; a second one ends the process at once. */

export class StopSignal {
  requested = false;
  readonly #onSignal: () => void;

  /** @param announce tells the user, once, that the wish was heard. */
  constructor(announce: () => void) {
    this.#onSignal = () => {
      if (this.requested) process.exit(130);
      this.requested = true;
      announce();
    };
    process.on("SIGINT", this.#onSignal);
    process.on("SIGTERM", this.#onSignal);
  }

  dispose(): void {
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
  }
}
