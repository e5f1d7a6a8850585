import kotlin.math.PI

/** A little of everything that programs are made of: the compiler is trained on it. */
sealed interface Shape

data class Square(val side: Double) : Shape

data class Circle(val radius: Double) : Shape

enum class Language { KOTLIN, OTHER }

fun Shape.area() = when (this) {
    is Square -> side * side
    is Circle -> PI * radius * radius
}

inline fun <T> twice(times: Int = 2, make: (Int) -> T): List<T> = List(times) { make(it) }

fun main(args: Array<String>) {
    val shapes = listOf(Square(2.0), Circle(1.0)) + twice { Square(it + 1.0) }
    val bySort = shapes.groupBy { it::class.simpleName }.mapValues { (_, all) -> all.sumOf(Shape::area) }
    val words = sequenceOf("Hello", "from", Language.KOTLIN.name.lowercase().replaceFirstChar(Char::uppercase))
    val input = generateSequence(::readLine).toMutableList().apply { sort() }
    try {
        check(bySort.getValue("Square") == 9.0 && input.isEmpty()) { "not $bySort" }
    } catch (error: NoSuchElementException) {
        System.err.println(error.message)
    }
    for (i in args.indices) println("${i + 1}: ${args[i]}")
    println(words.joinToString(" "))
}
