import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseRecordHeader, RecordKind } from '@holdfast/archive';
import { type Clock, systemClock } from '@holdfast/base';
import type { DestinationPlace } from '../destinations/destination-place.ts';
import { destinationErrors } from '../destinations/errors.ts';
import { archiveFolderIn, folderPlace } from '../destinations/folder-place.ts';
import { AgentDatabase } from '../state/agent-database.ts';
import { TestAgent } from '../testing.ts';

/** A clock that lets nobody wait, and counts how long they would have. */
class ImpatientClock implements Clock {
  waitedMs = 0;
  aheadMs = 0;

  now(): number {
    return systemClock.now() + this.aheadMs;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.aheadMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await systemClock.sleep(Math.min(ms, 100), signal);
    this.waitedMs += ms;
    this.aheadMs += Math.max(0, ms - 100);
  }
}

/** When an append fails for want of the destination: told of each fragment that got there, it says whether the next is lost. */
type Loss = { readonly name: string; readonly fragmentMs: number; readonly isLost: (fragments: Fragments) => boolean };
type Fragments = { readonly sinceLoss: number; readonly commitsSinceLoss: number };

const losses: readonly Loss[] = [
  // Half a minute for each fragment: after that, what was sent is committed.
  { name: 'after each commit', fragmentMs: 31_000, isLost: ({ commitsSinceLoss }) => commitsSinceLoss > 0 },
  { name: 'before anything is committed', fragmentMs: 0, isLost: ({ sinceLoss }) => sinceLoss >= 6 },
];
const wantedLosses = 8;

for (const { name, fragmentMs, isLost } of losses) {
  test(`a destination that is lost again and again, ${name}, is taken up at once each time`, async (t) => {
    const clock = new ImpatientClock();
    let [lost, fragments] = [0, { sinceLoss: 0, commitsSinceLoss: 0 }];
    const flaky = (place: DestinationPlace): DestinationPlace => ({
      ...place,
      async open(facts) {
        mkdirSync(archiveFolderIn(place.config.folder!, facts.archiveId), { recursive: true });
        const session = await place.open(facts);
        const append = session.append.bind(session);
        session.append = async (fragment) => {
          clock.aheadMs += fragmentMs;
          if (lost < wantedLosses && isLost(fragments)) {
            lost++;
            fragments = { sinceLoss: 0, commitsSinceLoss: 0 };
            throw destinationErrors.away({ folder: place.config.folder });
          }
          await append(fragment);
          const commits = parseRecordHeader(fragment).kind === RecordKind.commit ? 1 : 0;
          const { sinceLoss, commitsSinceLoss } = fragments;
          fragments = { sinceLoss: sinceLoss + 1, commitsSinceLoss: commitsSinceLoss + commits };
        };
        return session;
      },
    });
    const folder: { path?: string } = {};
    const agent = new TestAgent({
      clock,
      makePlace: (config) => flaky(folderPlace({ ...config, folder: folder.path! })),
    });
    t.after(() => agent.remove());
    folder.path = path.join(agent.folder, 'destination');
    mkdirSync(agent.options.stateDir, { mode: 0o700 });
    const database = new AgentDatabase(path.join(agent.options.stateDir, 'agent.db'));
    database.addDestination({ kind: 'cloud', name: 'flaky' });
    database.close();
    for (let number = 0; number < 80; number++) agent.write(`${number % 6}/${number}`, randomBytes(1_500_000));
    await agent.start();
    const isProtected = async () => (await agent.standings()).every(({ state }) => state === 'protected');
    await agent.until(isProtected, 'everything is protected', 120_000);
    assert.equal(lost, wantedLosses);
    assert.ok(clock.waitedMs < 120_000, `${clock.waitedMs} ms were waited for`);
  });
}
