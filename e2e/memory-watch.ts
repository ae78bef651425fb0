import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { afterwards } from '@holdfast/testing';
import type { Needle } from './marker-forms.ts';
import { processesOf, type MemorySample, type SamplerOrder } from './memory-sampler.ts';
import { until } from './process-tree.ts';

/** Looks into the memory of processes all the time, from a process of its own. */
export class MemoryWatch {
  readonly samples: MemorySample[] = [];
  readonly #order: Omit<SamplerOrder, 'needles'>;
  readonly #child: ChildProcess;

  private constructor(order: Omit<SamplerOrder, 'needles'>, child: ChildProcess) {
    this.#order = order;
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.samples.push(JSON.parse(line) as MemorySample);
    });
  }

  /** Resolves with its first sample; it ends with the test. */
  static async start(
    t: TestContext,
    order: Omit<SamplerOrder, 'needles'>,
    needles: readonly Needle[],
  ): Promise<MemoryWatch> {
    const program = path.join(import.meta.dirname, 'memory-sampler.ts');
    const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
    const watch = new MemoryWatch(order, child);
    afterwards(t, () => watch.stop());
    const asText = needles.map(({ name, bytes }) => ({ name, hex: bytes.toString('hex') }));
    child.stdin.write(`${JSON.stringify({ ...order, needles: asText })}\n`);
    await watch.nextSample();
    return watch;
  }

  /** The first sample that is begun from now on. */
  async nextSample(): Promise<MemorySample> {
    const fromMs = Date.now();
    const next = () => this.samples.find(({ beganAtMs }) => beganAtMs >= fromMs);
    await until(() => next() !== undefined || this.#hasEnded(), 'a look into the memory of processes');
    const found = next();
    if (!found) throw new Error('who looks into memory has ended');
    return found;
  }

  async stop(): Promise<void> {
    if (this.#hasEnded()) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin!.end();
    await ended;
    // Had it been killed, they would stand still for good.
    for (const { pid } of processesOf(this.#order)) process.kill(pid, 'SIGCONT');
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}
