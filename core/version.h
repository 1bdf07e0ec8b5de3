/* The library's version; the build and the Python package read it from here. */
#ifndef SHEEP_VERSION_H
#define SHEEP_VERSION_H

#define SHEEP_VERSION "0.1.0"

#endif
