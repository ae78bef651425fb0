import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { PlanLine } from '@holdfast/archive';
import type { Caller } from '../browse/caller.ts';
import { type CallerRestore, planFor, type RestoringParts } from './restore-for-caller.ts';

/** Hands over, line by line, what a restore for this caller would make; nothing is written but the plan itself, for a while. */
export async function planForCaller(
  parts: RestoringParts,
  caller: Caller,
  restore: CallerRestore,
  onLine: (line: PlanLine) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-restore-'));
  try {
    const plan = await planFor(parts, caller, restore, path.join(folder, 'plan.db'));
    try {
      for (const line of plan.lines()) await onLine(line);
    } finally {
      plan.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
