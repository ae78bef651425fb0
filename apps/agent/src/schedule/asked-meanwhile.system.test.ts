import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { destinationErrors } from '../destinations/errors.ts';
import { archiveFolderIn, folderPlace } from '../destinations/folder-place.ts';
import { AgentDatabase } from '../state/agent-database.ts';
import { TestAgent } from '../testing.ts';

test('a backup that is asked for while a destination is being tried in vain tries it once more', async (t) => {
  const [isTried, isGivenUp] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const folder: { path?: string } = {};
  let tries = 0;
  const agent = new TestAgent({
    makePlace: (config) => {
      const place = folderPlace({ ...config, folder: folder.path! });
      return {
        ...place,
        async open(facts) {
          mkdirSync(archiveFolderIn(folder.path!, facts.archiveId), { recursive: true });
          if (++tries > 1) return place.open(facts);
          isTried.resolve();
          await isGivenUp.promise;
          throw destinationErrors.away({ folder: folder.path });
        },
      };
    },
  });
  t.after(() => agent.remove());
  folder.path = path.join(agent.folder, 'slow');
  mkdirSync(agent.options.stateDir, { mode: 0o700 });
  const database = new AgentDatabase(path.join(agent.options.stateDir, 'agent.db'));
  database.addDestination({ kind: 'cloud', name: 'slow' });
  database.close();
  agent.write('file', 'content');
  await agent.start();
  await isTried.promise;
  const backup = agent.ask('backup');
  // When this is answered, the request before it was taken.
  await agent.ask('status');
  isGivenUp.resolve();
  await backup;
  assert.deepEqual(
    (await agent.standings()).map(({ state }) => state),
    ['protected'],
  );
  assert.equal(tries, 2);
});
