/** Restores in tests: of what a test device backed up, into a folder of its own. */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import {
  createContentLoader,
  type ReadableDestination,
  executeRestore,
  planRestore,
  type RestoreOptions,
  RestorePlan,
  type RestoreReport,
  type RestoreRequest,
} from '@holdfast/archive';
import { TestDevice } from '../engine/testing.ts';
import { closeDescriptor, nameBytes, openDirectory } from '../filesystem/index.ts';
import { startRestoreWorker } from './index.ts';

/** What a test may say of a restore; the rest is: `contents` of the newest commit, `rename`, as root would. */
export type TestRestore = Partial<Omit<RestoreOptions, 'rootFd' | 'keys'>> &
  Partial<Omit<RestoreRequest, 'paths'>> & {
    readonly plan?: RestorePlan;
    /** Where the plan is kept: for a restore that goes on. */
    readonly planPath?: string;
  };

/** A device that restores as well. */
export class RestoringDevice extends TestDevice {
  #plans = 0;

  /** A new folder beside what was backed up. */
  newFolder(name: string): string {
    const folder = path.join(this.folder, name);
    mkdirSync(folder);
    return folder;
  }

  newPlanPath(): string {
    return path.join(this.folder, `restore ${++this.#plans}.db`);
  }

  /** Plans the restore of paths; the caller closes the plan. */
  async plan(paths: string | readonly (string | Uint8Array)[], more: TestRestore = {}): Promise<RestorePlan> {
    const wanted = typeof paths === 'string' ? [paths] : paths;
    const { plan, isComplete } = RestorePlan.open(more.planPath ?? this.newPlanPath(), 'a test');
    if (isComplete) return plan;
    const reader = this.state();
    const loader = createContentLoader(this.#destinations(more), this.openKeys);
    await planRestore(
      { reader, loader, createSha256: () => createHash('sha256') },
      {
        paths: wanted.map((each) => (typeof each === 'string' ? nameBytes(each) : each)),
        commit: more.commit ?? reader.head,
        deleted: more.deleted ?? false,
        layout: more.layout ?? 'contents',
      },
      plan,
    );
    plan.complete();
    return plan;
  }

  /** Plans and restores into a folder. */
  async restore(
    paths: string | readonly (string | Uint8Array)[],
    target: string,
    more: TestRestore = {},
  ): Promise<RestoreReport> {
    const plan = more.plan ?? (await this.plan(paths, more));
    const rootFd = openDirectory(target);
    try {
      return await executeRestore(plan, {
        rootFd,
        destinations: this.#destinations(more),
        keys: this.openKeys,
        startWorker: startRestoreWorker,
        workers: more.workers ?? 2,
        onConflict: more.onConflict ?? 'rename',
        setuid: more.setuid ?? true,
        owners: more.owners ?? 'recorded',
        sync: more.sync ?? 'end',
        ...(more.signal && { signal: more.signal }),
        ...(more.onProgress && { onProgress: more.onProgress }),
      });
    } finally {
      plan.close();
      closeDescriptor(rootFd);
    }
  }

  #destinations({ destinations }: TestRestore): readonly ReadableDestination[] {
    return destinations ?? [this.destination];
  }
}
