import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { agentSocket, agentStateDir, serviceSocket, serviceStateDir } from '../agent-socket.ts';
import { environmentWith, findHome, homeToStart, namedSocket } from '../config.ts';
import { deviceFacts } from '../device-facts.ts';
import { ownFolderIn } from '../own-folder.ts';

type Options = {
  readonly state?: string;
  readonly socket?: string;
  readonly protect?: readonly string[];
  readonly json?: boolean;
};

/** Where an agent keeps its state and listens. */
type Places = {
  readonly stateDir: string;
  readonly socketPath: string;
  readonly isShared: boolean;
  readonly homeDir?: string;
};

/** `holdfast agent run`: the agent in the foreground, until it is told to end. */
export function registerAgentRun(agent: Command): void {
  agent
    .command('run')
    .description('run the agent in the foreground; this is what the service starts')
    .option('--state <folder>', `folder of its state (agent in HOLDFAST_HOME; ${serviceStateDir} for the service)`)
    .option(
      '--socket <file>',
      `control socket (HOLDFAST_SOCKET, by which commands find it; agent.sock in the state folder; ${serviceSocket} for the service)`,
    )
    .option('--protect <path...>', 'what the first backup set protects (the home folders); later: holdfast set')
    .action(async (options: Options) => {
      const { stateDir, socketPath, isShared, homeDir } = placesOf(options);
      ownFolderIn(homeDir, stateDir);
      await becomeEngineProcess(stateDir);
      const { createLog, lineWriter } = await import('@holdfast/agent');
      const { startEnrolledAgent } = await import('@holdfast/agent/cloud');
      const log = createLog(lineWriter(process.stderr));
      const running = await startEnrolledAgent({
        ...deviceFacts(),
        stateDir,
        socketPath,
        socketMode: isShared ? 0o666 : 0o600,
        never: homeDir === undefined ? [] : [{ pattern: homeDir, reason: "Holdfast's own state (HOLDFAST_HOME)" }],
        ...(options.protect && { protect: options.protect.map((each) => path.resolve(each)) }),
        log,
      });
      const stop = () => void running.stop().catch(() => undefined);
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
      // Whoever started it as a child hears that it answers, and takes it along when it ends.
      process.send?.({ socketPath });
      process.on('disconnect', stop);
      await running.ended;
      if (process.connected) process.disconnect?.();
    });
}

/** Starts this program again in place, with what makes the engine small, where whoever started it did not see to that. */
async function becomeEngineProcess(stateDir: string): Promise<void> {
  const { engineEnvironment, engineNodeFlags, isEngineProcess } = await import('@holdfast/agent/engine/process');
  // A channel to the parent would not outlive it.
  if (isEngineProcess() || process.channel || !process.execve || process.platform === 'win32') return;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const argv = [process.execPath, ...engineNodeFlags, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, argv, environmentWith(engineEnvironment(stateDir)));
}

/** The state and socket that were named, else those of HOLDFAST_HOME or `.holdfast`, else, for root, those of the service. */
function placesOf({ state, socket = namedSocket(process.cwd()) }: Options): Places {
  if (state !== undefined) {
    const stateDir = path.resolve(state);
    const socketPath = path.resolve(socket ?? path.join(stateDir, 'agent.sock'));
    return { stateDir, socketPath, isShared: socketPath === serviceSocket };
  }
  const isRoot = process.geteuid?.() === 0;
  const homeDir = findHome(process.cwd()) ?? (isRoot ? undefined : homeToStart(process.cwd()));
  if (homeDir === undefined) {
    const socketPath = path.resolve(socket ?? serviceSocket);
    return { stateDir: serviceStateDir, socketPath, isShared: socketPath === serviceSocket };
  }
  return {
    stateDir: agentStateDir(homeDir),
    socketPath: path.resolve(socket ?? agentSocket(homeDir)),
    isShared: false,
    homeDir,
  };
}
