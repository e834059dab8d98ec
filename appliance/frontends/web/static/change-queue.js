// Sends changes of settings one at a time, and leaves out those that are overtaken.

/** One change of each setting is sent at a time; of those that come meanwhile the last one counts. */
export class ChangeQueue {
  #send;
  #pending = new Map(); // name -> {value, isWaiting}

  /** `send(name, value)` resolves to whether the change was accepted. */
  constructor(send) {
    this.#send = send;
  }

  /** Whether a change of `name` is being sent or waits. */
  isPending(name) {
    return this.#pending.has(name);
  }

  /**
   * Change `name` to `value`. Resolves when nothing waits any more, to whether the last change was
   * accepted; to null where an earlier call sends this one.
   */
  async change(name, value) {
    const earlier = this.#pending.get(name);
    if (earlier) {
      Object.assign(earlier, { value, isWaiting: true });
      return null;
    }
    const pending = { value, isWaiting: true };
    this.#pending.set(name, pending);
    let accepted = true;
    while (pending.isWaiting && accepted) {
      pending.isWaiting = false;
      accepted = await this.#send(name, pending.value);
    }
    this.#pending.delete(name);
    return accepted;
  }
}
