import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import type { ReadableDestination } from '@holdfast/archive';
import type { Caller } from '../browse/caller.ts';
import { destinationErrors } from '../destinations/errors.ts';
import { removeTree } from '../filesystem/remove-tree.ts';
import { noise } from '../restore/fixtures.ts';
import { RestoringDevice } from '../restore/testing.ts';
import { restoreForCaller } from './restore-for-caller.ts';

const [uid, gid] = [process.getuid!(), process.getgid!()];
const caller: Caller = { uid, gid, userNames: new Set(), groups: new Map([[gid, new Set()]]), isPrivileged: true };
const files = 12;

/** A session of a destination; after so many records of one reading it fails, closed or still open. */
type Session = { readonly givesRecords: number; readonly staysOpen?: boolean };

class Scene {
  readonly device = new RestoringDevice();
  readonly tree = this.device.newFolder('tree');
  readonly target = this.device.newFolder('target');
  opened = 0;
  #session: ReadableDestination | undefined;

  static async make(t: TestContext): Promise<Scene> {
    const scene = new Scene();
    t.after(() => removeTree(scene.device.folder));
    for (let number = 0; number < files; number++) {
      writeFileSync(path.join(scene.tree, `${number}`), noise(300_000, number + 1));
    }
    await scene.device.backup(scene.tree);
    return scene;
  }

  /** Restores while the destination has these sessions, one after the other; then it is not there any more. */
  async restore(sessions: readonly Session[]) {
    const waiting = [...sessions];
    this.#session = undefined;
    const reach = async () => {
      const next = this.#session ? undefined : waiting.shift();
      if (next) this.#session = this.#open(next);
    };
    await reach();
    const wanted = {
      commit: this.device.state().head,
      deleted: false,
      onConflict: 'overwrite',
      setuid: false,
    } as const;
    return restoreForCaller(
      {
        archive: { state: () => this.device.state(), openKeys: this.device.openKeys },
        destinations: { sessions: () => (this.#session ? [this.#session] : []) },
        protector: { reach },
      },
      caller,
      { ...wanted, paths: [Buffer.from(this.tree)], target: Buffer.from(this.target) },
      { signal: new AbortController().signal, onProgress: () => undefined },
    );
  }

  #open({ givesRecords, staysOpen = false }: Session): ReadableDestination {
    this.opened++;
    const { destination } = this.device;
    const close = () => void (this.#session = undefined);
    return {
      name: 'server',
      async *read(ordinals) {
        let given = 0;
        for await (const record of destination.read(ordinals)) {
          if (given++ === givesRecords) {
            if (!staysOpen) close();
            throw destinationErrors.away();
          }
          yield record;
        }
      },
    };
  }

  assertRestored(): void {
    for (let number = 0; number < files; number++) {
      const [was, is] = [this.tree, path.join(this.target, 'tree')].map((at) =>
        readFileSync(path.join(at, `${number}`)),
      );
      assert.ok(was!.equals(is!), `${number}`);
    }
  }
}

const whole: Session = { givesRecords: Number.POSITIVE_INFINITY };

test('a restore whose session is closed under it goes on with the next one, as often as that gets on', async (t) => {
  const scene = await Scene.make(t);
  const broken = Array.from({ length: 6 }, () => ({ givesRecords: 1 }));
  const report = await scene.restore([{ givesRecords: 0 }, { givesRecords: 0 }, ...broken, whole]);
  assert.deepEqual([report.failed, report.problems], [[], []]);
  assert.equal(scene.opened, 9);
  scene.assertRestored();
});

test('a restore ends with the failure of a session that is open still, of sessions that give nothing, and of none', async (t) => {
  const scene = await Scene.make(t);
  const nothing = { givesRecords: 0 };
  const { away, interrupted } = destinationErrors;
  await assert.rejects(scene.restore([{ givesRecords: 1, staysOpen: true }, whole]), { code: away.code });
  await assert.rejects(scene.restore([nothing, nothing, nothing, nothing, nothing, whole]), { code: away.code });
  await assert.rejects(scene.restore([{ givesRecords: 1 }]), { code: interrupted.code });
  const report = await scene.restore([whole]);
  assert.deepEqual(report.failed, []);
  scene.assertRestored();
});
