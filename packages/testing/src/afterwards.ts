import type { TestContext } from 'node:test';

const stacks = new WeakMap<TestContext, AsyncDisposableStack>();

/**
 * Undoes something when the test has ended, the latest first: a folder is removed after the server in it was stopped.
 * (`t.after` runs in the order of registration.)
 */
export function afterwards(t: TestContext, undo: () => unknown): void {
  let stack = stacks.get(t);
  if (!stack) {
    const created = (stack = new AsyncDisposableStack());
    stacks.set(t, created);
    t.after(() => created.disposeAsync());
  }
  stack.defer(async () => void (await undo()));
}
