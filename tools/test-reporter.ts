import type { TestEvent } from 'node:test/reporters';

/** One finished test as a line of JSON. */
export type TestLine = {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it was skipped, where it says so. */
  readonly reason: string;
};

/** Writes one `TestLine` for each test that finished; suites are not counted, their tests are. */
// oxlint-disable-next-line import/no-default-export -- Node takes a reporter from the default export only
export default async function* reportLines(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { name, details, skip, todo } = event.data;
    if (details.type === 'suite') continue;
    const isSkipped = skip !== undefined || todo !== undefined;
    const outcome = isSkipped ? 'skipped' : event.type === 'test:pass' ? 'passed' : 'failed';
    const reason = [skip, todo].find((text) => typeof text === 'string') ?? '';
    yield `${JSON.stringify({ name, outcome, reason } satisfies TestLine)}\n`;
  }
}
