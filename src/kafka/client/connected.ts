interface Connectable {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

/** The client once it is connected. Rejects, with nothing left open, when it could not connect. */
export async function connected<Client extends Connectable>(client: Client): Promise<Client> {
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.disconnect().catch(() => undefined);
    throw error;
  }
}

/** Resolves once the client is disconnected, whatever became of it. */
export async function disconnected(client: Promise<Connectable> | undefined): Promise<void> {
  try {
    await (await client)?.disconnect();
  } catch {
    // It never was connected, or the broker is gone.
  }
}
