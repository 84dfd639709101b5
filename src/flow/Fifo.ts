/** First in, first out. `Array.shift` moves every item of a long array; this moves each item once in its life. */
export class Fifo<Item> {
  #items: Item[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** The oldest item, which must exist. */
  shift(): Item {
    const item = this.#items[this.#head] as Item;
    this.#items[this.#head] = undefined as Item; // not kept alive by an array that is cut later
    this.#head++;
    if (this.#head >= 64 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }
}
