/** Show the covers that the catalogue stores. */
import type { Catalog } from "../catalog.ts";

export class Covers {
  /** Addresses of the images by the cover's identifier; they are kept while the page is open. */
  private readonly addresses = new Map<string, Promise<string | null>>();

  constructor(private readonly catalog: Catalog) {}

  /** Return the address of a cover's image, or null if it is not stored. */
  address(id: string): Promise<string | null> {
    let address = this.addresses.get(id);
    if (!address) {
      address = this.catalog.cover(id).then((image) => image && URL.createObjectURL(image));
      this.addresses.set(id, address);
    }
    return address;
  }

  /** Set the address of an image element as soon as the cover is loaded. */
  show(id: string, image: HTMLImageElement): void {
    void this.address(id).then((address) => address && (image.src = address));
  }

  clear(): void {
    for (const address of this.addresses.values()) {
      void address.then((url) => url && URL.revokeObjectURL(url));
    }
    this.addresses.clear();
  }
}
